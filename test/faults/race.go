//go:build race

package faults

// RaceDetector says whether this test program has it.
const RaceDetector = true

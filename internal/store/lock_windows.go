package store

const lockFlags = 0

package source

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The test binary is also the credential_process of the tests.
func TestMain(m *testing.M) {
	if what := os.Getenv("SOURCE_TEST_PROCESS"); what != "" {
		testProcess(what, os.Args[1:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func testProcess(what string, args []string) {
	switch what {
	case "args":
		fmt.Printf(`{"Version":1,"AccessKeyId":"AKIAFAKEPROCESS","SecretAccessKey":%q}`, strings.Join(args, "|"))
	case "environ":
		var found []string
		for _, e := range os.Environ() {
			if strings.Contains(e, "CANARY") || strings.HasPrefix(e, "KEPT=") {
				found = append(found, e)
			}
		}
		fmt.Printf(`{"Version":1,"AccessKeyId":"AKIAFAKEPROCESS","SecretAccessKey":%q}`, strings.Join(found, " "))
	case "flood":
		chunk := []byte(strings.Repeat("CANARY", 1000))
		for {
			if _, err := os.Stdout.Write(chunk); err != nil {
				os.Exit(1)
			}
		}
	case "hang":
		// A child that holds the output open too, and tells where it is.
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "SOURCE_TEST_PROCESS=sleep")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if child.Start() == nil {
			_ = os.WriteFile(args[0], fmt.Append(nil, child.Process.Pid), 0o600)
		}
		time.Sleep(time.Hour)
	case "orphan":
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "SOURCE_TEST_PROCESS=sleep")
		child.Stdout = os.Stdout
		if child.Start() == nil {
			_ = os.WriteFile(args[0], fmt.Append(nil, child.Process.Pid), 0o600)
		}
		fmt.Print(`{"Version":1,"AccessKeyId":"AKIAFAKEPROCESS","SecretAccessKey":"s"}`)
	case "sleep":
		time.Sleep(time.Hour)
	default: // prints it, and the same to stderr; "exit" ends with a failure
		text, fail := strings.CutPrefix(what, "exit ")
		fmt.Print(text)
		fmt.Fprint(os.Stderr, text)
		if fail {
			os.Exit(7)
		}
	}
}

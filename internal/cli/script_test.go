package cli

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/rogpeppe/go-internal/testscript"

	"rolecall/internal/fakeaws"
)

// canary stands in every secret that the fake AWS gives out.
const canary = "CANARYCANARY"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"rolecall": func() { os.Exit(Main(System("1.2.3-test"))) },
		"environ":  environMain,
		"ask":      askMain,
		"visit":    visitMain,
	})
}

// visitMain is a browser: it goes where it is sent, and shows nothing.
func visitMain() {
	resp, err := http.Get(os.Args[1])
	if err != nil || resp.StatusCode != http.StatusOK {
		os.Exit(1)
	}
	_ = resp.Body.Close()
}

// environMain writes its environment, one variable a line, or with NULs between
// them into a file.
func environMain() {
	if len(os.Args) == 1 {
		fmt.Println(strings.Join(os.Environ(), "\n"))
	} else if err := os.WriteFile(os.Args[1], []byte(strings.Join(os.Environ(), "\x00")), 0o600); err != nil {
		os.Exit(1)
	}
}

// askMain is a program that takes its credentials as SDKs do, and prints the
// account and role it got.
func askMain() {
	r, err := http.NewRequest(http.MethodGet, os.Getenv(varURI), nil)
	if err != nil {
		fmt.Println("no URI:", err)
		os.Exit(1)
	}
	token := os.Getenv(varToken)
	if file := os.Getenv(varTokenFile); file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		token = string(b)
	}
	if token != "" {
		r.Header.Set("Authorization", token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var b bytes.Buffer
	_, _ = b.ReadFrom(resp.Body)
	fmt.Println(resp.StatusCode, strings.Join(fieldsOf(b.String(), "RoleArn", "Code"), " "))
	if len(os.Args) > 1 {
		code, _ := strconv.Atoi(os.Args[1])
		os.Exit(code)
	}
}

func fieldsOf(body string, names ...string) (found []string) {
	for _, n := range names {
		if _, rest, ok := strings.Cut(body, `"`+n+`":"`); ok {
			v, _, _ := strings.Cut(rest, `"`)
			found = append(found, v)
		}
	}
	return found
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Values[mockKey{}] = new(*mocked)
			return ownHome(e)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fakeaws": cmdFakeAWS,
			"append":  cmdAppend,
			"certify": cmdCertify,
			"fault":   cmdFault,
			"delay":   cmdDelay,
			"heal":    cmdHeal,
			"calls":   cmdCalls,
			"serve":   cmdServe,
			"end":     cmdStop,
			"waitfor": cmdWaitFor,
			"exit":    cmdExit,
			"redis":   cmdRedis,
			"config":  cmdConfig,
			"mockup":  cmdMockUp,
			"mockend": cmdMockEnd,
		},
	})
}

// ownHome gives a script a home and a world of its own.
func ownHome(e *testscript.Env) error {
	home := filepath.Join(e.WorkDir, "home")
	for name, value := range map[string]string{"HOME": home, "USERPROFILE": home, "ROLECALL_DIR": filepath.Join(e.WorkDir, "rc"), "AWS_EC2_METADATA_DISABLED": "true",
		"TZ": "UTC", "GORACE": "atexit_sleep_ms=10"} { // else every command of a -race run takes a second
		e.Setenv(name, value)
	}
	e.Values[worldKey{}] = &world{}
	return os.MkdirAll(home, 0o700)
}

// world is what runs behind a script.
type world struct {
	aws    *fakeaws.Server
	daemon *exec.Cmd
	stdout *bufio.Reader
	stderr *bytes.Buffer
	redis  *miniredis.Miniredis
}

type worldKey struct{}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// fakeaws [LIFETIME]: a fake AWS, its profiles in $HOME/.aws.
func cmdFakeAWS(ts *testscript.TestScript, neg bool, args []string) {
	c := fakeaws.Config{Canary: canary}
	if len(args) > 0 {
		d, err := time.ParseDuration(args[0])
		ts.Check(err)
		c.Lifetime = d
	}
	startFake(ts, c)
}

// startFake makes c's the script's AWS, with the variables that lead to it, and
// without a region.
func startFake(ts *testscript.TestScript, c fakeaws.Config) {
	s, err := fakeaws.Start(c)
	ts.Check(err)
	ts.Defer(func() { _ = s.Close() })
	worldOf(ts).aws = s
	_, _, err = s.WriteProfiles(filepath.Join(ts.Getenv("HOME"), ".aws"))
	ts.Check(err)
	for _, e := range s.Environ() {
		name, value, _ := strings.Cut(e, "=")
		if name != "AWS_REGION" && name != "AWS_DEFAULT_REGION" {
			ts.Setenv(name, value)
		}
	}
}

// certify: cert.pem and key.pem for 127.0.0.1, signed by themselves.
func cmdCertify(ts *testscript.TestScript, neg bool, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		ts.Check(os.WriteFile(ts.MkAbs(name), pem.EncodeToMemory(block), 0o600))
	}
}

// append FILE TO: the content of a file at the end of another.
func cmdAppend(ts *testscript.TestScript, neg bool, args []string) {
	to := ts.MkAbs(args[1])
	old, err := os.ReadFile(to)
	ts.Check(err)
	ts.Check(os.WriteFile(to, []byte(string(old)+"\n"+ts.ReadFile(args[0])), 0o600))
}

// fault OPERATION STATUS [TIMES]
func cmdFault(ts *testscript.TestScript, neg bool, args []string) {
	f := fakeaws.Fault{Match: args[0]}
	f.Status, _ = strconv.Atoi(args[1])
	if len(args) > 2 {
		f.Times, _ = strconv.Atoi(args[2])
	}
	worldOf(ts).aws.Script(f)
}

// delay OPERATION DURATION
func cmdDelay(ts *testscript.TestScript, neg bool, args []string) {
	d, err := time.ParseDuration(args[1])
	ts.Check(err)
	worldOf(ts).aws.Script(fakeaws.Fault{Match: args[0], Delay: d})
}

func cmdHeal(ts *testscript.TestScript, neg bool, args []string) { worldOf(ts).aws.ClearFaults() }

// calls OPERATION N: so many calls were made, no more.
func cmdCalls(ts *testscript.TestScript, neg bool, args []string) {
	if got := strconv.Itoa(worldOf(ts).aws.Calls(args[0])); got != args[1] {
		ts.Fatalf("%s was called %s times, want %s", args[0], got, args[1])
	}
}

// command is a program with the script's own environment.
func command(ts *testscript.TestScript, name string, args ...string) *exec.Cmd {
	ts.Check(ts.Exec("environ", ts.MkAbs(".environ")))
	env := strings.Split(ts.ReadFile(".environ"), "\x00")
	for _, e := range env {
		if dirs, ok := strings.CutPrefix(e, "PATH="); ok {
			name = filepath.Join(filepath.SplitList(dirs)[0], name)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), longestCommand)
	ts.Defer(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Dir = env, ts.MkAbs(".")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // shows where it hangs
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// longestCommand is how long a command, or a daemon, may run.
const longestCommand = 90 * time.Second

// serve [ARG]...: `rolecall serve` in the background, ready; sets $URL.
func cmdServe(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	cmd := command(ts, "rolecall", append([]string{"serve"}, args...)...)
	w.stderr = &bytes.Buffer{}
	cmd.Stderr = w.stderr
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	w.daemon, w.stdout = cmd, bufio.NewReader(out)
	ts.Defer(func() {
		if w.daemon == cmd {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	line, err := w.stdout.ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "rolecall: serving on ")
	if err != nil || !ok {
		_ = cmd.Wait()
		w.daemon = nil
		ts.Fatalf("serve did not become ready: %q\n%s", line, w.stderr)
	}
	url = strings.TrimSuffix(url, "/")
	ts.Setenv("URL", url)
	ts.Setenv("HOSTPORT", strings.TrimPrefix(url, "http://"))
}

// end [SIGNAL]: ends the daemon; it must exit with 0 and have told no secret.
func cmdStop(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	sig := os.Signal(syscall.SIGTERM)
	if len(args) > 0 && args[0] == "INT" {
		sig = os.Interrupt
	}
	ts.Check(w.daemon.Process.Signal(sig))
	err := w.daemon.Wait()
	w.daemon = nil
	ts.Check(os.WriteFile(ts.MkAbs("serve.err"), w.stderr.Bytes(), 0o600))
	if err != nil {
		ts.Fatalf("serve: %v\n%s", err, w.stderr)
	}
	if strings.Contains(w.stderr.String(), canary) {
		ts.Fatalf("a secret is in the log:\n%s", w.stderr)
	}
}

// waitfor PATTERN CMD...: until the command's output has the text.
func cmdWaitFor(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		cmd := command(ts, args[1], args[2:]...)
		out, _ := cmd.CombinedOutput()
		if strings.Contains(string(out), args[0]) {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("never saw %q; the last was:\n%s", args[0], out)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// exit CODE CMD...: the command ends with just this code. Its output is left in
// the files stdout and stderr, for grep, and must hold no secret.
func cmdExit(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	cmd := command(ts, args[1], args[2:]...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	var e *exec.ExitError
	if err != nil && !errors.As(err, &e) {
		ts.Fatalf("%v", err)
	}
	ts.Logf("[exit %d]\n%s%s", cmd.ProcessState.ExitCode(), &out, &errs)
	ts.Check(os.WriteFile(ts.MkAbs("out"), out.Bytes(), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("err"), errs.Bytes(), 0o600))
	if got := cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("%v exited with %d, want %d", args[1:], got, want)
	}
	if strings.Contains(out.String()+errs.String(), canary) {
		ts.Fatalf("%v told a secret", args[1:])
	}
	said := strings.Contains(errs.String(), "rolecall: error: ")
	if want > 0 && want < 126 && !said && args[2] != "status" && args[2] != "exec" && args[2] != "doctor" {
		ts.Fatalf("%v failed without saying why", args[1:])
	}
}

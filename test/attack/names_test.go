package attack_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

// mark is in every hostile name, so that it is found wherever it turns up.
const mark = "zQhostile"

// names are slot names as they stand in a URL, escaped.
func names() (all []string) {
	add := func(escaped ...string) {
		for _, e := range escaped {
			all = append(all, mark+e, e+mark)
		}
	}
	for _, up := range []string{"..", ".", "%2e%2e", "..%00", "..;", "....", "%c0%ae%c0%ae", "%252e%252e", "..%5c..", "%25uff0e%25uff0e"} {
		for _, slash := range []string{"%2f", "%5c", "%252f", "%c0%af", "%e2%88%95"} {
			all = append(all, strings.Repeat(up+slash, 8)+"tmp"+slash+mark)
		}
	}
	for _, place := range []string{"/etc/passwd", "/proc/self/environ", "/dev/stdin", `C:\Windows\win.ini`, `\\host\share`, "~/.aws/credentials", "file:///etc/passwd", "http://127.0.0.1:1/"} {
		add(url.PathEscape(place), url.PathEscape("/../.."+place))
	}
	for _, device := range []string{"CON", "nul.txt", "COM1:", "AUX", "LPT1", "control.sock", "authorization-token", "config.toml", "store", ".lock", ".tmp-1", "::$DATA"} {
		add("%2f"+url.PathEscape(device), url.PathEscape(device))
	}
	for c := range 0x20 {
		all = append(all, fmt.Sprintf("%s%%%02x", mark, c))
	}
	for _, text := range []string{"\x7f", "\u0085", "\u009b31m", "\u00ad", "\u200b", "\u200e", "\u202e", "\u2066", "\u2028", "\u2029", "\ufeff", "\U000e0041", "\x1b[2J", "\x1b]0;x\a", "\r\nSet-Cookie: a=b",
		"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "\n{\"level\":\"INFO\"}", "\xff", "\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80"} {
		add(url.PathEscape(text))
	}
	for _, text := range []string{`"><script>alert(1)</script>`, "<img src=x onerror=alert(1)>", "{{7*7}}", "${jndi:ldap://127.0.0.1:1/a}", "$(id)", "`id`", "; id", "| id", "&& id", "%s%n%x", "' OR 1=1--", `","admin":true,"`, "\\u0000",
		"#", "?x=1", "&amp;", "%", "*", "[a-z]", "{a,b}", "\t", " ", "a b", "=", "@", ":", "//", "team/a"} {
		add(url.PathEscape(text))
	}
	for _, n := range []int{100, 128, 129, 255, 256, 1000, 4096, 8000} {
		all = append(all, mark+strings.Repeat("a", n), strings.Repeat("%61", n/3)+mark, mark+strings.Repeat("%c3%a9", n/6))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// tree lists the files below dir, but for AWS files.
func tree(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		all = append(all, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestHostileNames(t *testing.T) {
	t.Parallel()
	w := world.New(t, fakeaws.Config{})
	var o world.Options
	trace := filepath.Join(t.TempDir(), "trace")
	if _, err := exec.LookPath("strace"); err == nil && runtime.GOOS == "linux" {
		// The tracer in the background: the process we start is the daemon.
		o.Prefix = []string{"strace", "-D", "-f", "-qq", "-s", "4096", "-e", "trace=open,openat,creat,execve,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,link,linkat,symlink,symlinkat", "-o", trace}
	}
	d := w.ServeWith(o, "--load", "dev")
	works(t, d)
	before := tree(t, w.Home)
	calls := w.AWS.Calls("sts:AssumeRole")
	upload := `{"ProfileName":"p","Creds":{"accessKeyId":"AKIAFAKE","secretAccessKey":"s","sessionToken":"t","expiration":4102444800000}}`
	roleNames := regexp.MustCompile(`^[\w+=,.@/-]*$`)
	attacker := newSession(t, d.Addr())
	sent, taken := 0, 0
	for _, name := range names() {
		plain, err := url.PathUnescape(name)
		if err != nil {
			t.Fatal(name, err)
		}
		for _, request := range []string{"GET /slot/", "PUT /slot/", "DELETE /slot/", "GET /slot/", "GET /healthcheck/slot/", "GET /source/", "GET /source/profile:", "GET /source/role:", "GET /role/", "GET /role-arn/", "GET /role-arn/arn:aws:iam::111111111111:role/"} {
			if strings.HasPrefix(request, "GET /role") && roleNames.MatchString(plain) {
				continue // a role may have that name: it would be assumed, and calls are spaced
			}
			body := ""
			if strings.HasPrefix(request, "PUT") {
				body = upload
			}
			answer := attacker.do(lines(request+name+" HTTP/1.1", "Host: "+d.Addr(), fmt.Sprint("Content-Length: ", len(body))) + body)
			if sent++; answer == "" {
				t.Errorf("%s%.80s: no answer", request, name)
			}
			head, rest, _ := strings.Cut(answer, "\r\n\r\n")
			if strings.Contains(head, mark) || len(statuses(answer)) != 1 {
				t.Errorf("%s%.80s: it is in a header", request, name)
			}
			fine := strings.HasPrefix(answer, "HTTP/1.1 200")
			if fine {
				taken++
			}
			if harmful(plain) && strings.Contains(rest, plain) {
				t.Errorf("%s%.80s: told back as it is: %.200q", request, name, rest)
			}
			if strings.Contains(rest, mark) && !strings.HasPrefix(request, "GET /source") && !strings.HasPrefix(request, "GET /role") {
				t.Errorf("%s%.80s: the name is told back: %.200q", request, name, rest)
			}
		}
	}
	works(t, d)
	if after := tree(t, w.Home); !slices.Equal(before, after) {
		t.Errorf("files were %v and are %v", before, after)
	}
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
	if n := w.AWS.Calls("sts:AssumeRole"); n > calls+len(names()) {
		t.Errorf("%d calls upstream for %d names", n-calls, len(names()))
	}
	how := "by the files there are"
	if o.Prefix != nil {
		text, err := os.ReadFile(trace)
		if err != nil || !strings.Contains(string(text), "openat") {
			t.Fatalf("strace saw nothing: %v", err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, mark) {
				t.Errorf("a name became a path: %.300s", line)
			}
		}
		how = "by strace"
	}
	t.Logf("%d names, %d requests, %d of them fine as they are; none became a path (%s)", len(names()), sent, taken, how)
}

// harmful says whether text must never be sent back as it is: it could be
// markup, or end a line.
func harmful(text string) bool {
	return strings.ContainsAny(text, "<>&\x1b\r\n\x00\u0085\u009b\u202e\u2028")
}

// The same names by way of the control socket, the flags and the configuration.
func TestHostileNamesElsewhere(t *testing.T) {
	w := world.New(t, fakeaws.Config{})
	d := w.Serve("--load", "dev")
	works(t, d)
	before := tree(t, w.Home)
	sent := 0
	for _, name := range names() {
		plain, err := url.PathUnescape(name)
		if err != nil {
			t.Fatal(name, err)
		}
		for _, op := range []string{"load", "unload", "refresh"} {
			body := fmt.Sprintf(`{"slot":%s}`, quoted(plain))
			if op == "load" {
				body = fmt.Sprintf(`{"slot":%s,"source":%s}`, quoted(plain), quoted(plain))
			}
			status, answer := ask(t, w, http.MethodPost, "/v1/"+op, body)
			if sent++; status < 400 || status >= 500 && status != http.StatusServiceUnavailable || harmful(plain) && strings.Contains(answer, plain) {
				t.Errorf("%s %.80q: %d %.200q", op, plain, status, answer)
			}
		}
	}
	if after := tree(t, w.Home); !slices.Equal(before, after) {
		t.Errorf("files were %v and are %v", before, after)
	}
	works(t, d)
	t.Logf("%d requests at the control socket", sent)
}

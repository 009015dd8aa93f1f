package phpfpm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"strings"
	"testing"
	"time"
)

// listen gives a listener on loopback, and the way to it.
func listen(t testing.TB) (net.Listener, Dial) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
	}
}

// Go's own responder understands us, and gets the parameters that we sent alone.
func TestAskAResponder(t *testing.T) {
	t.Parallel()
	l, dial := listen(t)
	long := strings.Repeat("x", 300)
	go func() {
		_ = fcgi.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			env := fcgi.ProcessEnv(r)
			_, _ = io.WriteString(w, r.Method+" "+env["LONG"]+" "+env["AWS_X"])
			if len(env) > 2 {
				_, _ = io.WriteString(w, " and more")
			}
		}))
	}()
	a, err := Ask(t.Context(), dial, map[string]string{"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1", "LONG": long})
	if err != nil || !bytes.HasSuffix(a.Stdout, []byte("GET "+long+" ")) {
		t.Errorf("%q, %v", a.Stdout, err)
	}
}

// answering is a server that reads something and says the same to everybody.
func answering(t *testing.T, say []byte) Dial {
	t.Helper()
	l, dial := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1024))
			_, _ = c.Write(say)
			_ = c.Close()
		}
	}()
	return dial
}

func TestAskNonsense(t *testing.T) {
	t.Parallel()
	for name, say := range map[string][]byte{
		"nothing":           nil,
		"HTTP":              []byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
		"half a header":     {1, 6, 0},
		"half a record":     {1, 6, 0, 1, 0, 200, 0, 0, 'x'},
		"another version":   {9, 6, 0, 1, 0, 0, 0, 0},
		"an unknown kind":   {1, 99, 0, 1, 0, 0, 0, 0},
		"a short end":       {1, 3, 0, 1, 0, 1, 0, 0, 0},
		"zeros":             make([]byte, 4096),
		"without an end":    bytes.Repeat([]byte{1, 6, 0, 1, 0, 1, 0, 0, 'x'}, 100),
		"more than there's": bytes.Repeat(append([]byte{1, 6, 0, 1, 0xff, 0xff, 0, 0}, make([]byte, 65535)...), 40),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			a, err := Ask(ctx, answering(t, say), map[string]string{"REQUEST_METHOD": "GET"})
			var op *net.OpError
			if !errors.Is(err, ErrNonsense) && !errors.As(err, &op) { // or reset, where more was sent than is read
				t.Errorf("%d bytes, error %v", len(a.Stdout), err)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		if _, err := Ask(t.Context(), answering(t, []byte{1, 3, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0}), nil); err == nil || !strings.Contains(err.Error(), "protocol status 2") {
			t.Error(err)
		}
	})
}

func TestAskNobody(t *testing.T) {
	t.Parallel()
	_, dial := listen(t) // accepts in the kernel, and never answers
	start := time.Now()
	if _, err := Ask(t.Context(), dial, map[string]string{"REQUEST_METHOD": "GET"}); !errors.Is(err, ErrNoAnswer) {
		t.Error(err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %s without any deadline given", took)
	}
	l, gone := listen(t)
	_ = l.Close()
	if _, err := Ask(t.Context(), gone, nil); err == nil {
		t.Error("nobody listens, and there is no error")
	}
}

func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte{1, 6, 0, 1, 0, 1, 0, 0, 'x', 1, 3, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{1, 7, 0, 1, 0, 1, 7, 0, 'x'})
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := readAnswer(bytes.NewReader(b))
		if err == nil && len(a.Stdout)+len(a.Stderr) > len(b) {
			t.Error("more came out than went in")
		}
		_, _ = parseView(b, b, "MARK")
	})
}

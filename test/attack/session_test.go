package attack_test

import (
	"bufio"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// session sends requests over one connection for as long as the server keeps
// it, and then over the next.
type session struct {
	t    testing.TB
	addr string
	conn net.Conn
	in   *bufio.Reader
}

func newSession(t testing.TB, addr string) *session {
	s := &session{t: t, addr: addr}
	t.Cleanup(s.close)
	return s
}

func (s *session) close() {
	if s.conn != nil {
		_ = s.conn.Close()
	}
	s.conn = nil
}

// do returns an answer as it came: head and body.
func (s *session) do(request string) string {
	s.t.Helper()
	if s.conn == nil {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			s.t.Fatal(err)
		}
		s.conn, s.in = c, bufio.NewReader(c)
	}
	_ = s.conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(s.conn, request); err != nil {
		s.close()
		return s.do(request) // an answer before had closed it
	}
	answer, keep := readAnswer(s.in)
	if !keep {
		s.close()
	}
	return answer
}

// readAnswer reads one answer that says its length; keep says whether the
// server goes on with the connection.
func readAnswer(in *bufio.Reader) (answer string, keep bool) {
	var head strings.Builder
	length, keep := 0, true
	for {
		line, err := in.ReadString('\n')
		head.WriteString(line)
		if err != nil {
			return head.String(), false
		}
		if line == "\r\n" {
			break
		}
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch {
		case strings.EqualFold(name, "Content-Length"):
			length, _ = strconv.Atoi(value)
		case strings.EqualFold(name, "Connection") && strings.EqualFold(value, "close"):
			keep = false
		}
	}
	body := make([]byte, length)
	n, err := io.ReadFull(in, body)
	if !keep {
		rest, _ := io.ReadAll(in) // net/http's own errors tell no length
		return head.String() + string(body[:n]) + string(rest), false
	}
	return head.String() + string(body[:n]), err == nil
}

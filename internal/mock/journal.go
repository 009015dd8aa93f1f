package mock

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"rolecall/internal/fakeaws"
)

// line is a request in the JSON form of the journal. The names stay.
type line struct {
	Time     string   `json:"time"`     // RFC 3339, UTC, when it came in
	Endpoint string   `json:"endpoint"` // imds or ecs
	Method   string   `json:"method"`
	Path     string   `json:"path"`
	Status   int      `json:"status"`            // 0: there was no answer
	Answer   string   `json:"answer"`            // in words
	Expires  string   `json:"expires,omitempty"` // of the credentials in the answer
	Faults   []string `json:"faults,omitempty"`
	MS       float64  `json:"ms"` // until the answer was complete
}

// journal writes a line for each request. It never holds a request up: when nobody reads what it writes, lines
// are left out and counted.
type journal struct {
	out    io.Writer
	json   bool
	queue  chan fakeaws.Request
	lost   atomic.Int64
	closed chan struct{}
}

const (
	queueLength  = 4096
	flushAtClose = time.Second
)

func newJournal(out io.Writer, asJSON bool) *journal {
	j := &journal{out: out, json: asJSON, queue: make(chan fakeaws.Request, queueLength), closed: make(chan struct{})}
	go j.run()
	return j
}

// add takes a request in; it must not be called after close.
func (j *journal) add(r fakeaws.Request) {
	select {
	case j.queue <- r:
	default:
		j.lost.Add(1)
	}
}

// close writes what is left, for a second at most: a pipe that nobody reads must not keep the mock alive.
func (j *journal) close() {
	close(j.queue)
	select {
	case <-j.closed:
	case <-time.After(flushAtClose):
	}
}

func (j *journal) run() {
	defer close(j.closed)
	broken := false
	for r := range j.queue {
		if broken {
			continue
		}
		text := j.text(r)
		if n := j.lost.Swap(0); n > 0 {
			text = j.gap(n) + text
		}
		_, err := io.WriteString(j.out, text)
		broken = err != nil // whoever started the mock wants its URLs only
	}
}

func (j *journal) gap(n int64) string {
	if j.json {
		return fmt.Sprintf("{\"lost\":%d}\n", n)
	}
	return fmt.Sprintf("%d lines are left out here: they were not read fast enough\n", n)
}

func (j *journal) text(r fakeaws.Request) string {
	l := line{
		Time: r.Time.UTC().Format("2006-01-02T15:04:05.000Z"), Endpoint: endpointOf(r.Op), Method: printable(r.Method),
		Path: printable(r.Path), Status: r.Status, Answer: words(r), MS: float64(r.Took.Microseconds()) / 1000,
	}
	if r.Fault != "" {
		l.Faults = strings.Split(r.Fault, labelGap)
	}
	if r.IssuedKeyID != "" {
		l.Expires = r.Expires.UTC().Format(time.RFC3339)
	}
	if j.json {
		b, err := json.Marshal(l)
		if err != nil { // strings and numbers: never fails
			return ""
		}
		return string(b) + "\n"
	}
	code := strconv.Itoa(l.Status)
	if l.Status == 0 {
		code = "-"
	}
	text := fmt.Sprintf("%s %-4s %s %s %s %s", r.Time.Format("15:04:05.000"), l.Endpoint, l.Method, l.Path, code, l.Answer)
	if l.Expires != "" {
		text += " until " + l.Expires
	}
	if r.Fault != "" {
		text += " [" + r.Fault + "]"
	}
	return fmt.Sprintf("%s %.1fms\n", text, l.MS)
}

func endpointOf(op string) string {
	if strings.HasPrefix(op, "container:") {
		return OnECS
	}
	return OnIMDS
}

// words are what was answered. Of credentials they tell the end of the key id only, and of a token nothing.
func words(r fakeaws.Request) string {
	switch {
	case r.Status == 0:
		return "no answer"
	case r.Status != http.StatusOK:
		return strings.ToLower(http.StatusText(r.Status))
	case r.IssuedKeyID != "":
		return "credentials ..." + r.IssuedKeyID[max(0, len(r.IssuedKeyID)-4):]
	case r.Op == opToken:
		return "token"
	case r.Op == opList:
		return "role"
	case r.Op == opIMDSCreds || r.Op == opECSCreds:
		return "no credentials"
	}
	return strings.TrimPrefix(r.Op, "imds:")
}

// printable keeps what a client sends from breaking a line or moving the cursor.
func printable(s string) string {
	s = strings.ToValidUTF8(s, "?")
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

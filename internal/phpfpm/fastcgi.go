package phpfpm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
	"time"
)

// FastCGI 1.0, as far as one request of one responder needs it
// (fastcgi-archives.github.io/FastCGI_Specification.html).
const (
	fcgiVersion      = 1
	fcgiBegin        = 1
	fcgiEnd          = 3
	fcgiParams       = 4
	fcgiStdin        = 5
	fcgiStdout       = 6
	fcgiStderr       = 7
	fcgiResponder    = 1
	fcgiRequest      = 1       // the number of our only request
	maxAnswer        = 1 << 20 // bytes of all records together
	defaultFCGILimit = time.Second
)

// ErrNonsense says that what answered speaks no FastCGI.
var ErrNonsense = errors.New("the answer is no FastCGI")

// ErrClosed says that whoever listens closes the connection without a word: it
// is no FPM, or one whose listen.allowed_clients keeps us out. It is ErrNonsense, too.
var ErrClosed = fmt.Errorf("%w: the connection was closed", ErrNonsense)

// ErrNoAnswer says that nothing came back in time, though somebody listens.
var ErrNoAnswer = errors.New("no answer in time")

// Answer is what a FastCGI responder said.
type Answer struct {
	Stdout, Stderr []byte
	Status         uint32 // the application's exit status
}

// Dial opens a connection to a pool.
type Dial func(ctx context.Context) (net.Conn, error)

// Ask sends one request with params as its whole set of parameters, and no
// body. It ends when ctx does, at the latest after one second where ctx has no
// deadline, and reads at most 1 MiB.
func Ask(ctx context.Context, dial Dial, params map[string]string) (Answer, error) {
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultFCGILimit)
		defer cancel()
	}
	conn, err := dial(ctx)
	if err != nil {
		return Answer{}, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := conn.Write(request(params)); err != nil {
		return Answer{}, answerError(err)
	}
	a, err := readAnswer(io.LimitReader(conn, maxAnswer))
	return a, answerError(err)
}

func answerError(err error) error {
	var ne net.Error
	switch {
	case errors.As(err, &ne) && ne.Timeout():
		return ErrNoAnswer
	case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
		return ErrClosed
	}
	return err
}

func request(params map[string]string) []byte {
	b := record(nil, fcgiBegin, []byte{0, fcgiResponder, 0, 0, 0, 0, 0, 0})
	b = record(b, fcgiParams, pairs(params))
	b = record(b, fcgiParams, nil)
	return record(b, fcgiStdin, nil)
}

// record appends one record. Its content is at most 65535 bytes long.
func record(b []byte, kind byte, content []byte) []byte {
	b = append(b, fcgiVersion, kind, 0, fcgiRequest)
	b = binary.BigEndian.AppendUint16(b, uint16(len(content)))
	b = append(b, 0, 0)
	return append(b, content...)
}

func pairs(params map[string]string) []byte {
	var names []string
	for n := range params {
		names = append(names, n)
	}
	slices.Sort(names)
	var b []byte
	for _, n := range names {
		b = length(length(b, len(n)), len(params[n]))
		b = append(append(b, n...), params[n]...)
	}
	return b[:min(len(b), 65535)]
}

// length appends a length: one byte, or four with the highest bit set.
func length(b []byte, n int) []byte {
	if n < 128 {
		return append(b, byte(n))
	}
	return binary.BigEndian.AppendUint32(b, uint32(n)|1<<31)
}

// readAnswer reads records up to the end of the request.
func readAnswer(r io.Reader) (Answer, error) {
	var a Answer
	var stdout, stderr bytes.Buffer
	var header [8]byte
	for n := 0; ; n++ {
		if _, err := io.ReadFull(r, header[:]); err != nil {
			if n == 0 && errors.Is(err, io.EOF) {
				return a, ErrClosed
			}
			return a, nonsense(err)
		}
		kind, size := header[1], int(binary.BigEndian.Uint16(header[4:]))
		if header[0] != fcgiVersion || kind < 1 || kind > 11 {
			return a, ErrNonsense
		}
		content := make([]byte, size+int(header[6]))
		if _, err := io.ReadFull(r, content); err != nil {
			return a, nonsense(err)
		}
		content = content[:size]
		if binary.BigEndian.Uint16(header[2:]) != fcgiRequest {
			continue
		}
		switch kind {
		case fcgiStdout:
			stdout.Write(content)
		case fcgiStderr:
			stderr.Write(content)
		case fcgiEnd:
			if size < 5 {
				return a, ErrNonsense
			}
			if content[4] != 0 {
				return a, fmt.Errorf("FPM refused the request (protocol status %d)", content[4])
			}
			a.Stdout, a.Stderr, a.Status = stdout.Bytes(), stderr.Bytes(), binary.BigEndian.Uint32(content)
			return a, nil
		}
	}
}

// nonsense tells an answer that ends too early from one that does not come.
func nonsense(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends too early", ErrNonsense)
	}
	return err
}

package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

// answer is what one request came to.
type answer struct {
	status int
	header http.Header
	body   []byte // at most maxSmall; never shown
	took   time.Duration
	at     time.Time // when it had come, by this machine's clock
	fault  string    // "refused", "timeout", "unreachable", "dns", "tls", "broken"; "" when there is an answer
	say    string    // the fault in words
}

// newAsker is a client as SDKs have one for metadata: no proxy, no redirect,
// nothing kept.
func newAsker() *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxSmall,
			DialContext: (&net.Dialer{}).DialContext},
	}
}

// ask sends one request. Its time is that of ctx.
func ask(ctx context.Context, method, url string, header http.Header) answer {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return answer{fault: "broken", say: "it cannot be asked: the URL is none"}
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", "rolecall-doctor")
	began := time.Now()
	resp, err := newAsker().Do(req)
	a := answer{took: time.Since(began), at: time.Now()}
	if err != nil {
		a.fault, a.say = netFault(err)
		return a
	}
	defer func() { _ = resp.Body.Close() }()
	a.status, a.header = resp.StatusCode, resp.Header
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxSmall))
	a.took = time.Since(began)
	if err != nil {
		a.fault, a.say = netFault(err)
	}
	return a
}

// netFault says why there was no answer, in the words of this page and not of
// the error, which repeats the URL.
func netFault(err error) (fault, say string) {
	var dns *net.DNSError
	var timeout net.Error
	var unknown x509.UnknownAuthorityError
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var addr *net.AddrError
	switch {
	case errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded):
		return "timeout", "no answer within a second"
	case errors.As(err, &dns):
		return "dns", "its name has no address"
	case errors.As(err, &cert), errors.As(err, &unknown):
		return "tls", "its TLS certificate is not trusted here"
	case errors.As(err, &record):
		return "tls", "it does not speak TLS"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused", "nothing listens there: the connection is refused"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		return "unreachable", "there is no way to it from here"
	case errors.As(err, &addr):
		return "broken", "its port or address is none"
	case errors.Is(err, syscall.ECONNRESET):
		return "broken", "the connection is cut"
	}
	return "broken", "the answer is no HTTP"
}

// skew is how far this machine's clock is ahead of the server's Date header;
// false when there is none. It is right to a second.
func (a answer) skew() (time.Duration, bool) {
	date, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		return 0, false
	}
	return a.at.Sub(date), true
}

// AWS refuses signatures that are off by five minutes.
const maxSkew = 4 * time.Minute

func (a answer) skewed() (Result, bool) {
	d, ok := a.skew()
	if !ok || d.Abs() < maxSkew {
		return Result{}, false
	}
	word := "ahead"
	if d < 0 {
		word = "behind"
	}
	return Result{Outcome: Failed, Cause: "clock.skew",
		Summary:  "this machine's clock is " + span(d.Abs()) + " " + word + ": AWS refuses signatures off by five minutes",
		Evidence: []Evidence{{Where: "Date header", Text: a.header.Get("Date")}, {Where: "this machine", Text: a.at.UTC().Format(http.TimeFormat)}},
		Fixes:    []Fix{{Text: "set the clock, and keep it set", Command: "timedatectl set-ntp true"}},
	}, true
}

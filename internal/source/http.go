package source

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Limits on one exchange with an upstream. The whole Retrieve ends after
// callTimeout in any case; an upstream that takes 3 s to answer works.
const (
	dialTimeout   = 3 * time.Second
	tlsTimeout    = 3 * time.Second
	headerTimeout = 5 * time.Second
	maxBody       = 64 << 10 // bytes; credentials are below 10 KiB
)

var (
	errTooLarge  = errors.New("the answer is larger than 64 KiB")
	errElsewhere = errors.New("the name leads to an address that may not be asked")
)

// newClient makes a client that follows no redirect, reads no more than maxBody
// and asks for no compression. proxy nil: none.
func newClient(proxy func(*http.Request) (*url.URL, error), roots *x509.CertPool) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &transport{&http.Transport{
			Proxy:                  proxy,
			DialContext:            dial,
			TLSHandshakeTimeout:    tlsTimeout,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			ResponseHeaderTimeout:  headerTimeout,
			MaxResponseHeaderBytes: maxBody,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
			// Long enough for the calls of one chain; the next refresh is
			// minutes away, when the connection would be dead.
			IdleConnTimeout:     5 * time.Second,
			MaxIdleConnsPerHost: 10, // a list of roles is asked for by so many at once
		}},
	}
}

type onlyKey struct{}

// only returns a context whose calls reach no address but those that may says
// yes to, whatever a name resolves to by then.
func only(ctx context.Context, may func(netip.Addr) bool) context.Context {
	return context.WithValue(ctx, onlyKey{}, may)
}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	if may, ok := ctx.Value(onlyKey{}).(func(netip.Addr) bool); ok {
		d.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
			if to, err := netip.ParseAddrPort(address); err != nil || !may(to.Addr().Unmap()) {
				return errElsewhere
			}
			return nil
		}
	}
	return d.DialContext(ctx, network, address)
}

// proxyExceptLocal follows HTTPS_PROXY and NO_PROXY, but sends nothing meant
// for this machine through a proxy.
func proxyExceptLocal(req *http.Request) (*url.URL, error) {
	if localHost(req.URL.Hostname()) {
		return nil, nil
	}
	return http.ProxyFromEnvironment(req)
}

// localHost says whether host is this machine or a link-local service of it:
// localhost or an address, never a name that would have to be looked up.
func localHost(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	addr = addr.Unmap()
	return addr.IsLoopback() || addr.IsLinkLocalUnicast() || ec2LocalPrefix().Contains(addr)
}

// ec2LocalPrefix holds the IPv6 addresses of the services on an EC2 instance.
func ec2LocalPrefix() netip.Prefix { return netip.MustParsePrefix("fd00:ec2::/32") }

// caBundle reads the file of AWS_CA_BUNDLE, which replaces the system's roots,
// as in the SDKs. "" gives nil: the system's.
func caBundle(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading AWS_CA_BUNDLE: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("AWS_CA_BUNDLE: no certificate in %s", path)
	}
	return pool, nil
}

// exchange is what was seen of the last answer to the calls made with a
// context, for the parts of it that SDK clients do not hand on.
type exchange struct {
	mu         sync.Mutex
	status     int // of the last answer; 0 when the last call had none
	date       time.Time
	retryAfter time.Duration
	err        error // of the connection, in the last call
}

type exchangeKey struct{}

// watch returns a context whose calls are noted in the exchange.
func watch(ctx context.Context) (context.Context, *exchange) {
	seen := &exchange{}
	return context.WithValue(ctx, exchangeKey{}, seen), seen
}

func (e *exchange) note(resp *http.Response) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status, e.err = resp.StatusCode, nil
	e.date, _ = http.ParseTime(resp.Header.Get("Date"))
	e.retryAfter = parseRetryAfter(resp.Header.Get("Retry-After"), e.date)
}

// noteError notes a call without an answer, or with one that could not be read.
func (e *exchange) noteError(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status, e.retryAfter, e.err = 0, 0, err
}

// last is what is known of the last call.
func (e *exchange) last() (status int, retryAfter time.Duration, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.status, e.retryAfter, e.err
}

// observed is the upstream's clock in its last answer, zero when it told none.
func (e *exchange) observed() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.date.UTC()
}

// parseRetryAfter reads seconds or a date (RFC 9110, 10.2.3), at most an hour.
func parseRetryAfter(text string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(text); err == nil && !now.IsZero() {
		d = at.Sub(now)
	}
	return min(max(d, 0), time.Hour)
}

// transport notes every answer and reads it to its end, at most maxBody of it,
// before anybody sees it. The SDK closes a request's body as soon as it has the
// head of the answer, at which net/http may cut the connection under the rest.
type transport struct{ next *http.Transport }

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	seen, _ := req.Context().Value(exchangeKey{}).(*exchange)
	if seen == nil {
		seen = &exchange{}
	}
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		seen.noteError(err)
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	resp.Body.Close()
	if err == nil && len(text) > maxBody {
		err = errTooLarge
	}
	if err != nil {
		seen.noteError(err)
		return nil, err
	}
	seen.note(resp)
	resp.Body = io.NopCloser(bytes.NewReader(text))
	return resp, nil
}

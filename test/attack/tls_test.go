package attack_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/internal/source"
	"rolecall/test/world"
)

// authority is a certificate and its key.
type authority struct {
	cert *x509.Certificate
	der  []byte
	key  crypto.Signer
}

var serial atomic.Int64

// issue makes a certificate for 127.0.0.1, good for an hour, as change has it.
func issue(t *testing.T, by *authority, change func(*x509.Certificate)) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issueFor(t, by, key, change)
}

func issueFor(t *testing.T, by *authority, key crypto.Signer, change func(*x509.Certificate)) *authority {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}, BasicConstraintsValid: true,
	}
	if change != nil {
		change(c)
	}
	if by == nil {
		by = &authority{cert: c, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by.cert, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{parsed, der, key}
}

func asCA(c *x509.Certificate) {
	c.IsCA, c.KeyUsage, c.ExtKeyUsage, c.IPAddresses, c.DNSNames = true, x509.KeyUsageCertSign, nil, nil, nil
	c.Subject.CommonName = "test CA " + c.SerialNumber.String()
}

func (a *authority) pair(chain ...*authority) tls.Certificate {
	c := tls.Certificate{Certificate: [][]byte{a.der}, PrivateKey: a.key}
	for _, i := range chain {
		c.Certificate = append(c.Certificate, i.der)
	}
	return c
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// upstream serves the fake AWS with TLS and counts requests.
func upstream(t *testing.T, aws *fakeaws.Server, c *tls.Config) (url string, requests *atomic.Int64) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	requests = &atomic.Int64{}
	handler := aws.Handler()
	s := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		handler.ServeHTTP(w, r)
	})}
	go func() { _ = s.Serve(tls.NewListener(ln, c)) }()
	t.Cleanup(func() { _ = s.Close() })
	return "https://" + ln.Addr().String(), requests
}

// Certificates that must not be taken for AWS's, with an authority of the test
// in AWS_CA_BUNDLE.
func TestBadCertificatesUpstream(t *testing.T) {
	ca := issue(t, nil, asCA)
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, bundle, "CERTIFICATE", ca.der)
	with := func(change func(*x509.Certificate)) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{issue(t, ca, change).pair()}}
	}
	version := func(v uint16) *tls.Config {
		c := with(nil)
		c.MinVersion, c.MaxVersion = v, v
		return c
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	middle := issue(t, ca, asCA)
	noCA := issue(t, ca, nil)
	expired := issue(t, ca, func(c *x509.Certificate) { asCA(c); c.NotAfter = time.Now().Add(-time.Minute) })
	elsewhere := issue(t, ca, func(c *x509.Certificate) {
		asCA(c)
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"example.com"}
		c.ExcludedIPRanges = []*net.IPNet{{IP: net.IPv4(127, 0, 0, 0), Mask: net.CIDRMask(8, 32)}}
	})
	short := issue(t, ca, func(c *x509.Certificate) { asCA(c); c.MaxPathLen, c.MaxPathLenZero = 0, true })
	tooLong := issue(t, short, asCA)
	stranger := issue(t, nil, asCA)
	bad := map[string]*tls.Config{
		"expired":                with(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }),
		"not valid yet":          with(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }),
		"another address":        with(func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 2)} }),
		"another name":           with(func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"sts.amazonaws.com"} }),
		"common name alone":      with(func(c *x509.Certificate) { c.IPAddresses, c.DNSNames, c.Subject.CommonName = nil, nil, "127.0.0.1" }),
		"address as a name":      with(func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"127.0.0.1"} }),
		"for clients":            with(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }),
		"for signing code":       with(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }),
		"self-signed":            {Certificates: []tls.Certificate{issue(t, nil, nil).pair()}},
		"unknown authority":      {Certificates: []tls.Certificate{issue(t, stranger, nil).pair(stranger)}},
		"authority of that name": {Certificates: []tls.Certificate{issue(t, issue(t, nil, func(c *x509.Certificate) { asCA(c); c.Subject = ca.cert.Subject }), nil).pair()}},
		"middle one left out":    {Certificates: []tls.Certificate{issue(t, middle, nil).pair()}},
		"middle one is no CA":    {Certificates: []tls.Certificate{issue(t, noCA, nil).pair(noCA)}},
		"middle one expired":     {Certificates: []tls.Certificate{issue(t, expired, nil).pair(expired)}},
		"outside constraints":    {Certificates: []tls.Certificate{issue(t, elsewhere, nil).pair(elsewhere)}},
		"chain too long":         {Certificates: []tls.Certificate{issue(t, tooLong, nil).pair(tooLong, short)}},
		"another one's key":      {Certificates: []tls.Certificate{{Certificate: [][]byte{issue(t, ca, nil).der}, PrivateKey: stranger.key}}},
		"TLS 1.0":                version(tls.VersionTLS10),
		"TLS 1.1":                version(tls.VersionTLS11),
		"old ciphers":            {Certificates: []tls.Certificate{issueFor(t, ca, weak, nil).pair()}, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_RC4_128_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}},
	}
	retrieve := func(t *testing.T, c *tls.Config) (requests int64, err error) {
		aws, err := fakeaws.Start(fakeaws.Config{Canary: world.Canary})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = aws.Close() }()
		home := t.TempDir()
		if _, _, err := aws.WriteProfiles(filepath.Join(home, ".aws")); err != nil {
			t.Fatal(err)
		}
		url, count := upstream(t, aws, c)
		env := map[string]string{"AWS_ENDPOINT_URL": url, "AWS_CA_BUNDLE": bundle, "AWS_REGION": "eu-west-1", "AWS_EC2_METADATA_DISABLED": "true"}
		r := source.New(source.Config{Getenv: func(k string) string { return env[k] }, Home: home})
		for _, text := range []string{"dev", "sso-dev"} {
			s, e := r.Resolve(text)
			if e != nil {
				t.Fatal(e)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			_, e = s.Provider.Retrieve(ctx)
			cancel()
			if err = e; err == nil {
				return count.Load(), nil
			}
		}
		return count.Load(), err
	}
	for name, c := range bad {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if requests, err := retrieve(t, c); err == nil || requests != 0 {
				t.Errorf("%d requests, %v", requests, err)
			}
		})
	}
	for name, c := range map[string]*tls.Config{"good": with(nil), "good, TLS 1.2": version(tls.VersionTLS12), "good, with one in the middle": {Certificates: []tls.Certificate{issue(t, middle, nil).pair(middle)}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if requests, err := retrieve(t, c); err != nil || requests == 0 {
				t.Errorf("%d requests, %v", requests, err)
			}
		})
	}
	t.Logf("%d bad certificates and versions", len(bad))
}

// Our own listeners: TLS 1.2 at least, and a changed certificate is taken
// without a restart.
func TestServingTLS(t *testing.T) {
	t.Parallel()
	w := world.New(t, fakeaws.Config{})
	ca := issue(t, nil, asCA)
	cert, key := filepath.Join(w.Home, "cert.pem"), filepath.Join(w.Home, "key.pem")
	write := func(a *authority) {
		der, err := x509.MarshalPKCS8PrivateKey(a.key)
		if err != nil {
			t.Fatal(err)
		}
		writePEM(t, key, "PRIVATE KEY", der)
		writePEM(t, cert, "CERTIFICATE", a.der)
	}
	first := issue(t, ca, nil)
	write(first)
	d := w.Serve("--load", "dev", "--tls-cert", cert, "--tls-key", key)
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	shake := func(c *tls.Config) (*big.Int, error) {
		c.RootCAs = pool
		conn, err := tls.Dial("tcp", d.Addr(), c)
		if err != nil {
			return nil, err
		}
		defer func() { _ = conn.Close() }()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber, nil
	}
	for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		if _, err := shake(&tls.Config{MinVersion: v, MaxVersion: v}); err == nil {
			t.Errorf("%s was taken", tls.VersionName(v))
		}
	}
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		if got, err := shake(&tls.Config{MinVersion: v, MaxVersion: v}); err != nil || got.Cmp(first.cert.SerialNumber) != 0 {
			t.Errorf("%s: %v", tls.VersionName(v), err)
		}
	}
	if answer, _ := exchange("tcp", d.Addr(), lines("GET / HTTP/1.1", "Host: "+d.Addr())); credentials(answer) || strings.Contains(answer, "200 OK") {
		t.Errorf("plain HTTP: %q", answer)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	get := func(header string) (int, string) {
		req, _ := http.NewRequest(http.MethodGet, d.URL+"/", nil)
		if header != "" {
			req.Header.Set("Origin", header)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	if status, text := get(""); status != 200 || !credentials(text) {
		t.Errorf("over TLS: %d", status)
	}
	if status, text := get("https://evil.example"); status != 403 || credentials(text) {
		t.Errorf("a page over TLS: %d", status)
	}
	// A broken pair changes nothing, a good one is taken at the next look.
	second := issue(t, ca, nil)
	writePEM(t, cert, "CERTIFICATE", second.der)
	wait := time.After(1200 * time.Millisecond) // the files are looked at once a second
	for broken := true; broken; {
		select {
		case <-wait:
			broken = false
		default:
			if got, err := shake(&tls.Config{}); err != nil || got.Cmp(first.cert.SerialNumber) != 0 {
				t.Fatalf("with a pair that does not belong together: %v %v", got, err)
			}
		}
	}
	write(second)
	for deadline := time.Now().Add(15 * time.Second); ; {
		got, err := shake(&tls.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if got.Cmp(second.cert.SerialNumber) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the new certificate was not taken")
		}
	}
}

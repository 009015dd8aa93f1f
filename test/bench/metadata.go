package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rolecall/internal/fakeaws"
)

const (
	lookUps     = 10_000
	lookUpsRate = 1000 // a second
	imdsLimit   = 100  // requests a second, and as many at once
)

// metadata lets 10,000 processes look up their credentials once each, a thousand
// a second, on an instance whose metadata service lets 100 requests a second
// through: each asking it as an SDK does with its usual one attempt, and each
// asking rolecall. Every request has a connection of its own.
func (b *bench) metadata() error {
	direct, err := b.instance()
	if err != nil {
		return err
	}
	lostDirect, worstDirect := processes(func(c *http.Client) error { return imdsLookUp(c, direct.url) })
	passed, refused := direct.throttle.Counts()
	direct.close()

	mock, err := b.instance()
	if err != nil {
		return err
	}
	defer mock.close()
	env, dir, err := b.home()
	if err != nil {
		return err
	}
	role, err := b.rolecall(append(env, "AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT="+mock.url), dir, "--load", "imds")
	if err != nil {
		return err
	}
	defer func() { _ = role.stop() }()
	lost, worst := processes(func(c *http.Client) error {
		return credentials(get(c, http.MethodGet, "http://"+role.addr+"/", nil))
	})
	passedHere, refusedHere := mock.throttle.Counts()
	refreshes := mock.aws.Calls("imds:credentials")

	name := fmt.Sprintf("10,000 processes in %d s, metadata service limited to %d requests a second: ", lookUps/lookUpsRate, imdsLimit)
	b.add(figure{what: name + "processes without credentials", reach: "0", got: fmt.Sprint(lost), spread: fmt.Sprintf("slowest look-up %s", worst.Round(time.Millisecond)),
		baseline: fmt.Sprintf("directly: %d (slowest look-up %s)", lostDirect, worstDirect.Round(time.Millisecond)), missed: lost > 0})
	b.add(figure{what: name + "requests to the metadata service", reach: "≤ 3 per refresh", got: fmt.Sprintf("%d, for %d refreshes of credentials that live 8 s", passedHere+refusedHere, refreshes),
		baseline: fmt.Sprintf("directly: %d, of which %d refused", passed+refused, refused), missed: passedHere+refusedHere > 3*refreshes || refreshes == 0})
	return nil
}

// metadataService is a fake AWS behind a limit.
type metadataService struct {
	aws      *fakeaws.Server
	throttle *fakeaws.Throttle
	web      *httptest.Server
	url      string
}

// instance is one whose credentials live so short that some are refreshed
// within the run.
func (b *bench) instance() (*metadataService, error) {
	aws, err := fakeaws.New(fakeaws.Config{Lifetime: 8 * time.Second})
	if err != nil {
		return nil, err
	}
	m := &metadataService{aws: aws, throttle: fakeaws.NewThrottle(aws.Handler(), imdsLimit, imdsLimit, nil)}
	m.web = httptest.NewServer(m.throttle)
	m.url = m.web.URL
	return m, nil
}

func (m *metadataService) close() {
	m.web.Close()
	_ = m.aws.Close()
}

// processes starts the look-ups at their time, whether those before are done or
// not; most bounds how many are under way.
func processes(lookUp func(*http.Client) error) (lost int, slowest time.Duration) {
	const most = 512
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	var failed, longest atomic.Int64
	var wg sync.WaitGroup
	places := make(chan struct{}, most)
	begin := time.Now()
	for i := range lookUps {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / lookUpsRate)))
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			began := time.Now()
			if lookUp(client) != nil {
				failed.Add(1)
			}
			took := int64(time.Since(began))
			for old := longest.Load(); took > old && !longest.CompareAndSwap(old, took); old = longest.Load() {
			}
		})
	}
	wg.Wait()
	return int(failed.Load()), time.Duration(longest.Load())
}

// imdsLookUp is what an SDK does: a token, the role's name, its credentials.
func imdsLookUp(c *http.Client, url string) error {
	token, err := get(c, http.MethodPut, url+"/latest/api/token", http.Header{"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": {"21600"}})
	if err != nil {
		return err
	}
	h := http.Header{"X-Aws-Ec2-Metadata-Token": {token}}
	const roles = "/latest/meta-data/iam/security-credentials/"
	role, err := get(c, http.MethodGet, url+roles, h)
	if err != nil {
		return err
	}
	return credentials(get(c, http.MethodGet, url+roles+role, h))
}

// credentials says whether an answer has any.
func credentials(text string, err error) error {
	if err == nil && !strings.Contains(text, `"SecretAccessKey":"`) {
		return errors.New("no credentials")
	}
	return err
}

func get(c *http.Client, method, url string, header http.Header) (string, error) {
	req, err := http.NewRequestWithContext(context.Background(), method, url, nil)
	if err != nil {
		return "", err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return string(text), err
}

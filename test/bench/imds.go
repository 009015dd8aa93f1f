package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// imds is the warm document of the metadata endpoint, IMDSv2, in turn with the
// bare net/http server. Token check, guard, peer look-up, audit log and metrics
// are on, as they always are.
func (b *bench) imds(fresh bool) error {
	env, dir, err := b.home()
	if err != nil {
		return err
	}
	base, err := startServer(env, dir, b.self, "bare")
	if err != nil {
		return err
	}
	defer base.kill()
	role, err := b.rolecall(env, dir, "--load", "fake", "--imds", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { _ = role.stop() }()
	const list = "/latest/meta-data/iam/security-credentials/"
	addr, err := role.nextAddr()
	if err != nil {
		return err
	}
	token, err := ask("PUT", "http://"+addr+"/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 21600")
	if err != nil {
		return err
	}
	shown := "X-aws-ec2-metadata-token: " + token
	name, err := ask("GET", "http://"+addr+list, shown)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("warm IMDSv2 document, keep-alive, %d connections", connections)
	if fresh {
		what = fmt.Sprintf("warm IMDSv2 document, one connection per request, %d at a time", connections)
	}
	// The same request, to the byte but for its Host.
	return b.inTurn(what, 1.15, false, fresh, target{base, base.addr, list + name, shown}, target{role, addr, list + name, shown})
}

// ask makes one request and returns the body of its 200.
func ask(method, url, header string) (string, error) {
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		return "", err
	}
	name, value, _ := strings.Cut(header, ": ")
	r.Header.Set(name, value)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s", method, url, resp.Status)
	}
	return string(text), err
}

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
	var cpu, tail, baseCPU, roleCPU series
	for round := -1; round < shorter*b.rounds; round++ { // the first warms up and does not count
		var s [2]shot
		for i, at := range []struct {
			*server
			addr, path, header string
		}{{base, base.addr, list + name, shown}, {role, addr, list + name, shown}} { // the same request, to the byte but for its Host
			before := at.cpu()
			s[i] = load(at.addr, at.path, at.header, connections, fresh, b.burst/shorter)
			s[i].cpu = at.cpu() - before
			if s[i].failed > 0 {
				return fmt.Errorf("%d requests failed", s[i].failed)
			}
		}
		if round < 0 {
			continue
		}
		baseCPU, roleCPU = append(baseCPU, s[0].perAnswer()), append(roleCPU, s[1].perAnswer())
		cpu, tail = append(cpu, s[1].perAnswer()/s[0].perAnswer()), append(tail, float64(s[1].p99)/float64(s[0].p99))
	}
	what := fmt.Sprintf("warm IMDSv2 document, keep-alive, %d connections", connections)
	if fresh {
		what = fmt.Sprintf("warm IMDSv2 document, one connection per request, %d at a time", connections)
	}
	b.add(figure{what: what + ": CPU per answer ÷ bare net/http", reach: "≤ 1.15", got: fmt.Sprintf("%.2f", cpu.median()), spread: cpu.spread("%.2f"),
		baseline: fmt.Sprintf("%.1f µs ÷ %.1f µs", roleCPU.median(), baseCPU.median()), missed: cpu.median() > 1.15})
	if !fresh {
		b.add(figure{what: what + ": p99 ÷ bare net/http", reach: "≤ 1.2", got: fmt.Sprintf("%.2f", tail.median()), spread: tail.spread("%.2f"), missed: tail.median() > 1.2})
	}
	return nil
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

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rolecall/internal/fakeaws"
)

// series are the values of one figure over the rounds.
type series []float64

func (s series) median() float64 {
	c := slices.Sorted(slices.Values(s))
	if len(c) == 0 {
		return 0
	}
	return c[len(c)/2]
}

func (s series) spread(format string) string {
	return fmt.Sprintf(format+" to "+format, slices.Min(s), slices.Max(s))
}

const connections = 16

// shorter is how much shorter, and more, the rounds of ratios of CPU are: what
// else a machine does comes and goes in seconds.
const shorter = 4

// warm is the answer from memory, over kept connections or with a new one for
// each request, in turn with a bare net/http server. Guard, peer look-up, audit
// log and metrics are on, as they always are.
func (b *bench) warm(fresh bool) error {
	env, dir, err := b.home()
	if err != nil {
		return err
	}
	base, err := startServer(env, dir, b.self, "bare")
	if err != nil {
		return err
	}
	defer base.kill()
	role, err := b.rolecall(env, dir, "--load", "fake")
	if err != nil {
		return err
	}
	defer func() { _ = role.stop() }()
	name := fmt.Sprintf("warm answer, keep-alive, %d connections", connections)
	if fresh {
		name = fmt.Sprintf("one connection per request, %d at a time", connections)
	}
	return b.inTurn(name, 1.10, true, fresh, target{base, base.addr, "/", ""}, target{role, role.addr, "/", ""})
}

// target is what is asked of a server: a path, with a further line of the header.
type target struct {
	*server
	addr, path, header string
}

// inTurn compares one server with the bare one, which bear load in turn: CPU per
// answer, answers per second if wanted and, over kept connections, the slowest
// hundredth.
func (b *bench) inTurn(name string, reach float64, rates, fresh bool, base, role target) error {
	var cpu, tail, rate, baseCPU, roleCPU series
	for round := -1; round < shorter*b.rounds; round++ { // the first warms up and does not count
		var s [2]shot
		for i, at := range []target{base, role} {
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
		cpu = append(cpu, s[1].perAnswer()/s[0].perAnswer())
		tail = append(tail, float64(s[1].p99)/float64(s[0].p99))
		rate = append(rate, float64(s[1].answers)/float64(s[0].answers))
	}
	b.add(figure{what: name + ": CPU per answer ÷ bare net/http", reach: fmt.Sprintf("≤ %.2f", reach), got: fmt.Sprintf("%.2f", cpu.median()), spread: cpu.spread("%.2f"),
		baseline: fmt.Sprintf("%.1f µs ÷ %.1f µs", roleCPU.median(), baseCPU.median()), missed: cpu.median() > reach})
	if rates {
		b.add(figure{what: name + ": answers per second ÷ bare net/http", reach: "–", got: fmt.Sprintf("%.2f", rate.median()), spread: rate.spread("%.2f")})
	}
	if !fresh {
		b.add(figure{what: name + ": p99 ÷ bare net/http", reach: "≤ 1.2", got: fmt.Sprintf("%.2f", tail.median()), spread: tail.spread("%.2f"), missed: tail.median() > 1.2})
	}
	return nil
}

var benchLine = regexp.MustCompile(`(?m)^Benchmark(\w+)\S*\s.*?(\d+) B/op\s+(\d+) allocs/op`)

// allocations compares the Go benchmarks of the whole daemon and of net/http.
func (b *bench) allocations() error {
	c := exec.Command("go", "test", "-run", "^$", "-bench", "^Benchmark(Warm|Bare)$", "-benchtime", "50000x", "rolecall/internal/daemon")
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	n := map[string]int{}
	for _, m := range benchLine.FindAllStringSubmatch(string(out), -1) {
		n[m[1]], _ = strconv.Atoi(m[3])
	}
	if len(n) != 2 {
		return fmt.Errorf("the benchmarks printed no figures:\n%s", out)
	}
	more := n["Warm"] - n["Bare"]
	b.add(figure{what: "allocations per warm answer beyond net/http's own", reach: "0", got: strconv.Itoa(more), baseline: fmt.Sprintf("%d − %d", n["Warm"], n["Bare"]), missed: more > 0})
	return nil
}

// cold sends a thousand first requests at once while upstream is slow.
func (b *bench) cold() error {
	for _, delay := range []time.Duration{100 * time.Millisecond, 900 * time.Millisecond, 3 * time.Second} {
		aws, err := fakeaws.Start(fakeaws.Config{})
		if err != nil {
			return err
		}
		aws.Script(fakeaws.Fault{Match: "sts:AssumeRole", Delay: delay})
		env, dir, err := b.home()
		if err != nil {
			return err
		}
		if _, _, err := aws.WriteProfiles(filepath.Join(dir, ".aws")); err != nil {
			return err
		}
		role, err := b.rolecall(append(env, aws.Environ()...), dir)
		if err != nil {
			return err
		}
		const clients = 1000
		var wg sync.WaitGroup
		var mu sync.Mutex
		lost, slowest := 0, time.Duration(0)
		for range clients {
			wg.Go(func() {
				began := time.Now()
				c := client{addr: role.addr, request: request(role.addr, "/source/profile:dev", "", true)}
				err := c.ask()
				c.close()
				mu.Lock()
				defer mu.Unlock()
				slowest = max(slowest, time.Since(began))
				if err != nil {
					lost++
				}
			})
		}
		wg.Wait()
		calls := aws.Calls("sts:AssumeRole")
		_ = role.stop()
		_ = aws.Close()
		b.add(figure{what: fmt.Sprintf("1,000 concurrent first requests, upstream %v: upstream calls, answers lost", delay), reach: "1, 0",
			got: fmt.Sprintf("%d, %d", calls, lost), spread: fmt.Sprintf("slowest answer %v", slowest.Round(time.Millisecond)), missed: calls != 1 || lost != 0})
	}
	return nil
}

// memory is what the process holds: idle, with idle connections, with slots.
func (b *bench) memory() error {
	env, dir, err := b.home()
	if err != nil {
		return err
	}
	base, err := startServer(env, dir, b.self, "bare")
	if err != nil {
		return err
	}
	defer base.kill()
	role, err := b.rolecall(env, dir, "--load", "fake")
	if err != nil {
		return err
	}
	settle()
	idle := role.rss()
	b.add(figure{what: "memory (RSS) idle", reach: "≤ 16 MiB", got: fmt.Sprintf("%.1f MiB", idle), baseline: fmt.Sprintf("bare net/http: %.1f MiB", base.rss()), missed: idle > 16})
	var grown [2]float64
	for i, srv := range []*server{base, role} {
		held, err := hold(srv.addr, 4096)
		if err != nil {
			return err
		}
		settle()
		grown[i] = srv.rss()
		for _, c := range held {
			_ = c.Close()
		}
	}
	b.add(figure{what: "memory with 4,096 idle connections", reach: "≤ 128 MiB", got: fmt.Sprintf("%.1f MiB", grown[1]), baseline: fmt.Sprintf("bare net/http: %.1f MiB", grown[0]), missed: grown[1] > 128})
	if err := role.stop(); err != nil {
		return err
	}
	const slots = 10000
	var text strings.Builder
	text.WriteString("[slots]\n")
	for i := range slots {
		fmt.Fprintf(&text, "\"slot-%05d\" = \"fake\"\n", i)
	}
	file := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		return err
	}
	role, err = b.rolecall(env, dir, "--config", file)
	if err != nil {
		return err
	}
	defer func() { _ = role.stop() }()
	for i := range slots { // each is asked once, so that all are loaded
		c := client{addr: role.addr, request: request(role.addr, fmt.Sprintf("/slot/slot-%05d", i), "", true), fresh: true}
		if err := c.ask(); err != nil {
			return err
		}
	}
	settle()
	full := role.rss()
	b.add(figure{what: "memory with 10,000 loaded slots", reach: "≤ 64 MiB", got: fmt.Sprintf("%.1f MiB", full), missed: full > 64})
	return nil
}

// settle lets a server come to rest.
func settle() { time.Sleep(1500 * time.Millisecond) }

// hold opens connections that have asked once and are kept.
func hold(addr string, n int) (held []net.Conn, err error) {
	for range n {
		c := client{addr: addr, request: request(addr, "/", "", false)}
		if err := c.ask(); err != nil {
			return held, fmt.Errorf("after %d connections: %w", len(held), err)
		}
		held = append(held, c.conn)
	}
	return held, nil
}

// start is the time from exec to the line that says that clients are answered.
func (b *bench) start() error {
	env, dir, err := b.home()
	if err != nil {
		return err
	}
	var base, role series
	for range 3 * b.rounds {
		s, err := startServer(env, dir, b.self, "bare")
		if err != nil {
			return err
		}
		base = append(base, float64(s.ready.Microseconds())/1e3)
		s.kill()
		if s, err = b.rolecall(env, dir); err != nil {
			return err
		}
		role = append(role, float64(s.ready.Microseconds())/1e3)
		if err := s.stop(); err != nil {
			return err
		}
	}
	b.add(figure{what: "exec to readiness line, no warming", reach: "≤ 15 ms", got: fmt.Sprintf("%.1f ms", role.median()), spread: role.spread("%.1f ms"),
		baseline: fmt.Sprintf("bare net/http: %.1f ms", base.median()), missed: role.median() > 15})
	return nil
}

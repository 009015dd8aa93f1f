package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"rolecall/internal/fakeaws"
)

// user is a home with the profiles of a fake AWS.
type user struct {
	aws *fakeaws.Server
	env []string
	dir string
}

func (b *bench) user(delay time.Duration) (*user, error) {
	aws, err := fakeaws.Start(fakeaws.Config{Lifetime: time.Hour})
	if err != nil {
		return nil, err
	}
	if delay > 0 {
		aws.Script(fakeaws.Fault{Match: "sts:AssumeRole", Delay: delay})
	}
	env, dir, err := b.home()
	if err == nil {
		_, _, err = aws.WriteProfiles(filepath.Join(dir, ".aws"))
	}
	if err != nil {
		_ = aws.Close()
		return nil, err
	}
	return &user{aws: aws, env: append(env, aws.Environ()...), dir: dir}, nil
}

func (u *user) close() { _ = u.aws.Close() }

func (u *user) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Env, c.Dir = u.env, u.dir
	return c
}

// stored is a daemon's start with what the one before it left, while upstream
// is down: from exec to the first answer with credentials.
func (b *bench) stored() error {
	u, err := b.user(0)
	if err != nil {
		return err
	}
	defer u.close()
	var took series
	for round := range 1 + 3*b.rounds {
		if round == 1 {
			u.aws.Script(fakeaws.Fault{Match: "*", Status: 503})
		}
		role, err := b.rolecall(u.env, u.dir, "--load", "dev")
		if err != nil {
			return err
		}
		c := client{addr: role.addr, request: request(role.addr, "/", "", true), fresh: true}
		err = c.ask()
		all := time.Since(role.started)
		if stop := role.stop(); err == nil {
			err = stop
		}
		if err != nil {
			return err
		}
		if round > 0 {
			took = append(took, float64(all.Microseconds())/1e3)
		}
	}
	calls := u.aws.Calls("sts:AssumeRole")
	b.add(figure{what: "exec to the first 200 from the store, upstream down", reach: "≤ 20 ms", got: fmt.Sprintf("%.1f ms", took.median()), spread: took.spread("%.1f ms"),
		baseline: fmt.Sprintf("%d upstream call in %d starts", calls, 1+3*b.rounds), missed: took.median() > 20 || calls != 1})
	return nil
}

// process is one `rolecall process` with fresh credentials in the store, in
// turn with the least that a Go program can do.
func (b *bench) process() error {
	u, err := b.user(0)
	if err != nil {
		return err
	}
	defer u.close()
	src := filepath.Join(b.dir, "hello.go")
	if err := os.WriteFile(src, []byte("package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"hello\") }\n"), 0o600); err != nil {
		return err
	}
	hello := strings.TrimSuffix(src, ".go")
	if err := b.build(hello, src); err != nil {
		return err
	}
	if out, err := u.command(b.binary, "process", "dev").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	var ratios, ours, theirs series
	for range b.rounds {
		var one [2]series
		for range 30 {
			for i, c := range []*exec.Cmd{u.command(hello), u.command(b.binary, "process", "dev")} {
				began := time.Now()
				if err := c.Run(); err != nil {
					return err
				}
				one[i] = append(one[i], float64(time.Since(began).Microseconds())/1e3)
			}
		}
		theirs, ours = append(theirs, one[0].median()), append(ours, one[1].median())
		ratios = append(ratios, one[1].median()/one[0].median())
	}
	b.add(figure{what: "rolecall process, fresh in the store ÷ a Go hello-world process", reach: "≤ 3", got: fmt.Sprintf("%.2f", ratios.median()), spread: ratios.spread("%.2f"),
		baseline: fmt.Sprintf("%.2f ms ÷ %.2f ms; aws-vault 4.4", ours.median(), theirs.median()), missed: ratios.median() > 3 || u.aws.Calls("sts:AssumeRole") != 1})
	return nil
}

// together runs the commands at once and says how long the last one took, and
// how many different answers there were.
func together(commands []*exec.Cmd) (slowest time.Duration, answers int, err error) {
	out := make([]string, len(commands))
	errs := make([]error, len(commands))
	var wg sync.WaitGroup
	began := time.Now()
	for i, c := range commands {
		wg.Go(func() {
			var b []byte
			b, errs[i] = c.Output()
			out[i] = string(b)
		})
	}
	wg.Wait()
	slowest = time.Since(began)
	for _, e := range errs {
		if e != nil {
			return 0, 0, e
		}
	}
	slices.Sort(out)
	return slowest, len(slices.Compact(out)), nil
}

// herd is two hundred `rolecall process` at once on an empty store, and the same
// number that find an answer: what it takes to start them here.
func (b *bench) herd() error {
	const herd = 200
	var cold, starts series
	for range 3 {
		u, err := b.user(time.Second)
		if err != nil {
			return err
		}
		commands := func() (all []*exec.Cmd) {
			for range herd {
				all = append(all, u.command(b.binary, "process", "dev"))
			}
			return all
		}
		slowest, answers, err := together(commands())
		if err != nil {
			return err
		}
		start, _, err := together(commands())
		calls := u.aws.Calls("sts:AssumeRole")
		u.close()
		if err != nil || calls != 1 || answers != 1 {
			return fmt.Errorf("%d calls, %d answers: %w", calls, answers, err)
		}
		cold, starts = append(cold, slowest.Seconds()), append(starts, start.Seconds())
	}
	b.herdFigure("200 concurrent rolecall process on an empty store, upstream 1 s: the last answer", "200 that find an answer", cold, starts)
	return nil
}

func (b *bench) herdFigure(what, baseline string, cold, starts series) {
	beyond := cold.median() - starts.median()
	b.add(figure{what: what, reach: "1 call, all right, ≤ 1.5 s + start", got: fmt.Sprintf("%.2f s, 1 call, all right", cold.median()), spread: cold.spread("%.2f s"),
		baseline: fmt.Sprintf("start (%s): %.2f s, so %.2f s beyond it", baseline, starts.median(), beyond), missed: beyond > 1.5})
}

// daemons is fifty daemons of one user at once on an empty store, and fifty that
// find an answer.
func (b *bench) daemons() error {
	const daemons = 50
	var cold, starts series
	for range 3 {
		u, err := b.user(time.Second)
		if err != nil {
			return err
		}
		var took [2]time.Duration
		for i := range took {
			if took[i], err = b.startAll(u, daemons, fmt.Sprint("run", i)); err != nil {
				u.close()
				return err
			}
		}
		calls := u.aws.Calls("sts:AssumeRole")
		u.close()
		if calls != 1 {
			return fmt.Errorf("%d calls for %d daemons", calls, daemons)
		}
		cold, starts = append(cold, took[0].Seconds()), append(starts, took[1].Seconds())
	}
	b.herdFigure("50 daemons started at once on an empty store, upstream 1 s: the last first answer", "50 that find an answer", cold, starts)
	return nil
}

// startAll starts daemons that share a store and have sockets of their own, and
// says when the last one has handed out credentials.
func (b *bench) startAll(u *user, n int, run string) (time.Duration, error) {
	servers := make([]*server, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	began := time.Now()
	for i := range n {
		wg.Go(func() {
			own := filepath.Join(u.dir, run, fmt.Sprint(i))
			env := append(slices.Clone(u.env), "ROLECALL_DIR=", "DBUS_SESSION_BUS_ADDRESS=", "XDG_CONFIG_HOME="+own, "XDG_RUNTIME_DIR="+own, "XDG_STATE_HOME="+filepath.Join(u.dir, "state"))
			if errs[i] = os.MkdirAll(own, 0o700); errs[i] != nil {
				return
			}
			if servers[i], errs[i] = b.rolecall(env, own, "--load", "dev"); errs[i] != nil {
				return
			}
			c := client{addr: servers[i].addr, request: request(servers[i].addr, "/", "", true), fresh: true}
			errs[i] = c.ask()
		})
	}
	wg.Wait()
	took := time.Since(began)
	for i, s := range servers {
		if s != nil {
			if err := s.stop(); errs[i] == nil {
				errs[i] = err
			}
		}
	}
	for _, err := range errs {
		if err != nil {
			return 0, err
		}
	}
	return took, nil
}

// machines is thirty `rolecall process`, each on a machine of its own as far as
// files go, with a real redis-server between them.
func (b *bench) machines() error {
	const machines = 30
	const what = "30 rolecall process of 30 machines at once, an empty redis-server, upstream 1 s: the last answer"
	if _, err := exec.LookPath("redis-server"); err != nil {
		b.add(figure{what: what, reach: "1 call", got: "not measured: there is no redis-server here"})
		return nil
	}
	var cold series
	most := 0
	for range 3 {
		u, err := b.user(time.Second)
		if err != nil {
			return err
		}
		socket, stop, err := redisServer(u.dir)
		if err != nil {
			u.close()
			return err
		}
		key := filepath.Join(u.dir, "store-key")
		err = os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600)
		var commands []*exec.Cmd
		for i := range machines {
			own := filepath.Join(u.dir, fmt.Sprint("machine", i))
			if err == nil {
				err = os.MkdirAll(own, 0o700)
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(own, "config.toml"), fmt.Appendf(nil, "store = %q\n", "redis://"+socket), 0o600)
			}
			c := u.command(b.binary, "process", "dev")
			c.Env = append(slices.Clone(u.env), "ROLECALL_DIR="+own, "ROLECALL_STORE_KEY_FILE="+key)
			commands = append(commands, c)
		}
		var slowest time.Duration
		answers := 0
		if err == nil {
			slowest, answers, err = together(commands)
		}
		most = max(most, u.aws.Calls("sts:AssumeRole"), answers)
		stop()
		u.close()
		if err != nil {
			return err
		}
		cold = append(cold, slowest.Seconds())
	}
	b.add(figure{what: what, reach: "1 call, all right", got: fmt.Sprintf("%d call, all right, %.2f s", most, cold.median()), spread: cold.spread("%.2f s"), missed: most != 1})
	return nil
}

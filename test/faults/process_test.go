//go:build unix

package faults_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/faults"
	"rolecall/test/world"
)

func TestRow22Stopped(t *testing.T) {
	t.Parallel()
	pause, life := time.Minute, 30*time.Second
	if testing.Short() {
		pause, life = 5*time.Second, 4*time.Second
	}
	s := newSite(t, fakeaws.Config{Lifetime: life}) // it ends meanwhile
	d := s.serve(world.Options{}, "--load", "dev")
	r := newReader(t, d)
	r.warm(t, "/")
	d.Signal(syscall.SIGSTOP)
	<-time.After(pause)
	d.Signal(syscall.SIGCONT)
	woke := time.Now()
	reads, failed, ended := 0, 0, 0
	for time.Since(woke) < 4*time.Second {
		a := r.get("/")
		asked := time.Since(woke) - a.took
		if a.status == 200 && !a.good() {
			ended++
		}
		if asked > time.Second {
			reads++
			if !a.good() {
				failed++
			}
		}
		<-time.After(5 * time.Millisecond)
	}
	row(t, 22, failed == 0 && ended == 0 && reads > 20, "%d of %d reads failed from 1 s after %v of standing still; %d ended sets served", failed, reads, pause, ended)
}

func TestRow35NoDescriptors(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("prlimit"); err != nil {
		leftOut(t, 35, "there is no prlimit to take a program's descriptors away")
	}
	needsProc(t, 35)
	s := newSite(t, fakeaws.Config{})
	d := s.serve(world.Options{Prefix: []string{"prlimit", "--nofile=64:64"}}, "--load", "dev")
	newReader(t, d).warm(t, "/")
	var flood []net.Conn
	release := func() {
		for _, c := range flood {
			_ = c.Close()
		}
		flood = nil
	}
	defer release()
	refreshed := 0
	const tries = 5
	for range tries {
		for range 120 { // more than it can take, again and again
			if c, err := net.DialTimeout("tcp", d.Addr(), 100*time.Millisecond); err == nil {
				flood = append(flood, c)
			}
		}
		if _, err := s.refresh(""); err == nil {
			refreshed++
		} else {
			t.Logf("refresh at the cap: %v", err)
		}
	}
	release()
	released := time.Now()
	until(t, 10*time.Second, "an answer", func() bool {
		status, _, err := d.Get("/")
		return err == nil && status == 200
	})
	again := time.Since(released)
	alive := syscall.Kill(d.PID(), 0) == nil
	row(t, 35, alive && refreshed == tries && faults.Within(again, 2*time.Second), "0 exits; served %s after release; %d of %d refreshes with clients at the cap", sec(again), refreshed, tries)
}

// herdOf starts n requests that wait for upstream, and returns once the daemon
// has them; held lets upstream answer.
func herdOf(t *testing.T, s *site, n int) (held chan struct{}, wait func() (ok, lost int)) {
	held = make(chan struct{})
	s.AWS.Script(fakeaws.Fault{Match: "sts:AssumeRole", Until: held})
	d := s.serve(world.Options{}, "--load", "dev")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.AWS.WaitCalls(ctx, "sts:AssumeRole", 1); err != nil {
		t.Fatal(err)
	}
	before := sockets(t, d.PID())
	var answered, failed atomic.Int32
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if status, _, err := d.Get("/"); err == nil && status == 200 {
				answered.Add(1)
			} else if failed.Add(1) < 4 {
				t.Log(status, err)
			}
		})
	}
	until(t, 20*time.Second, "the requests", func() bool { return sockets(t, d.PID()) >= before+n })
	return held, func() (int, int) { wg.Wait(); return int(answered.Load()), int(failed.Load()) }
}

func closedToNew(d *world.Daemon) bool {
	c, err := net.DialTimeout("tcp", d.Addr(), time.Second)
	if err == nil {
		_ = c.Close()
	}
	return err != nil
}

func TestRow47Termination(t *testing.T) {
	needsProc(t, 47)
	const clients = 500
	s := newSite(t, fakeaws.Config{})
	held, wait := herdOf(t, s, clients)
	began := time.Now()
	s.daemon.Signal(syscall.SIGTERM)
	until(t, 5*time.Second, "no new ones", func() bool { return closedToNew(s.daemon) })
	close(held)
	ok, lost := wait()
	err := s.daemon.Wait()
	took := time.Since(began)

	second := newSite(t, fakeaws.Config{})
	second.AWS.Script(fakeaws.Fault{Match: "*", Hang: true})
	second.daemon = second.ServeWith(second.proxied(world.Options{Fails: true}), "--load", "dev")
	go func() { _, _, _ = second.daemon.Get("/") }()
	until(t, 10*time.Second, "the fetch", func() bool { return second.AWS.Calls("sts:AssumeRole") > 0 })
	second.daemon.Signal(syscall.SIGTERM)
	until(t, 5*time.Second, "no new ones", func() bool { return closedToNew(second.daemon) })
	again := time.Now()
	second.daemon.Signal(syscall.SIGTERM)
	_ = second.daemon.Wait()
	atOnce := time.Since(again)
	row(t, 47, lost == 0 && ok == clients && err == nil && faults.Within(took, 5*time.Second) && faults.Within(atOnce, 100*time.Millisecond),
		"%d of %d answered, %d lost; exit after %s; after a second SIGTERM %s", ok, clients, lost, sec(took), ms(atOnce))
}

func TestRow48SocketActivation(t *testing.T) {
	t.Parallel()
	w := world.New(t, fakeaws.Config{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	start := func() *world.Daemon { // as systemd does, which sets LISTEN_PID to the process it starts
		return w.ServeWith(world.Options{Plain: true, Prefix: []string{"sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"`, "sh"}, Files: []*os.File{file}, Listen: "-"}, "--load", "dev")
	}
	d := start()
	url := d.URL
	restarts, want := many(20), int32(many(10_000))
	var asked, failed atomic.Int32
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				asked.Add(1)
				if status, _, err := (&world.Daemon{URL: url}).Get("/"); err != nil || status != http.StatusOK {
					if failed.Add(1) < 4 {
						t.Log(status, err)
					}
				}
			}
		})
	}
	for i := range restarts {
		until(t, time.Minute, "requests", func() bool { return asked.Load() >= want*int32(i+1)/int32(restarts+1) })
		if err := d.Stop(); err != nil {
			t.Errorf("ended with %v", err)
		}
		d = start()
	}
	until(t, time.Minute, "requests", func() bool { return asked.Load() >= want })
	close(stop)
	wg.Wait()
	row(t, 48, failed.Load() == 0, "%d of %d requests failed over %d restarts, a connection each", failed.Load(), asked.Load(), restarts)
}

func TestRow51Processes(t *testing.T) {
	t.Parallel()
	needsProc(t, 51)
	s := newSite(t, fakeaws.Config{})
	at := func(name string) string { return filepath.Join(s.Home, name) }
	script := func(name, text string) string {
		if err := os.WriteFile(at(name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return "[profile " + name + "]\ncredential_process = " + at(name) + "\n"
	}
	const keys = `{"Version":1,"AccessKeyId":"AKIAPROCESS00001","SecretAccessKey":"s"}`
	text := script("hang", "echo $$ >>"+at("hang.pids")+"; sleep 600") +
		script("forks", "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 600 & echo $! >>"+at("forks.pids")+"; done; wait") +
		script("flood", "echo $$ >>"+at("flood.pids")+"; head -c 1000000000 /dev/zero") +
		script("errors", "head -c 100000000 /dev/zero >&2; echo '"+keys+"'") +
		script("orphan", "sleep 600 & echo $! >>"+at("orphan.pids")+"; echo '"+keys+"'")
	config := at(".aws/config")
	old, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, append(old, text...), 0o600); err != nil {
		t.Fatal(err)
	}
	d := s.serve(world.Options{}, "--load", "dev", "--slot", "hang=profile:hang", "--slot", "forks=profile:forks", "--slot", "flood=profile:flood", "--slot", "errors=profile:errors", "--slot", "orphan=profile:orphan")
	r := newReader(t, d)
	pids := func(name string) (all []int) {
		b, _ := os.ReadFile(at(name + ".pids"))
		for _, f := range strings.Fields(string(b)) {
			var pid int
			if _, err := fmt.Sscan(f, &pid); err == nil {
				all = append(all, pid)
			}
		}
		return all
	}
	defer func() { // the orphan outlives its parent by its own wish
		for _, pid := range pids("orphan") {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}()
	until(t, 20*time.Second, "the children", func() bool { return len(pids("hang")) > 0 && len(pids("forks")) >= 10 && len(pids("flood")) > 0 })
	began := time.Now()
	answered := 0
	for _, name := range []string{"errors", "orphan"} {
		if a := r.get("/slot/" + name); a.status == 200 && a.field("AccessKeyId") == "AKIAPROCESS00001" {
			answered++
		}
	}
	var flooded time.Duration
	until(t, 20*time.Second, "the flood's end", func() bool { return s.slot("flood").Error != nil })
	flooded = time.Since(began)
	message := s.slot("flood").Error.Message
	took := time.Hour
	if testing.Short() { // the slot's end ends it too
		if status, _, err := d.Get("/healthcheck"); err != nil || status != 200 {
			t.Error(status, err)
		}
		first := [2][]int{pids("hang"), pids("forks")}
		_ = d.Stop()
		until(t, 5*time.Second, "the children's end", func() bool { return gone(first[0]) && gone(first[1]) })
		took = time.Since(began)
	} else {
		first := append(pids("hang"), pids("forks")...)
		until(t, 65*time.Second, "the children's end", func() bool { return gone(first) })
		took = time.Since(began)
	}
	dead := zombies(t, d.PID())
	row(t, 51, took <= time.Minute && dead == 0 && answered == 2 && strings.Contains(message, "64 KiB"), "hanging and forking ones killed after %s with all they started; 1 GB of output cut after %s at 64 KiB; %d zombies", sec(took), sec(flooded), dead)
}

// gone says whether none of the processes runs; zombies of others count as gone.
func gone(pids []int) bool {
	for _, pid := range pids {
		if state := faults.LineOf(fmt.Sprintf("/proc/%d/status", pid), "State"); state != "" && !strings.HasPrefix(state, "Z") {
			return false
		}
	}
	return true
}

// zombies counts the dead children that a process has not let go of.
func zombies(t *testing.T, parent int) (n int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		if faults.LineOf(file, "PPid") == fmt.Sprint(parent) && strings.HasPrefix(faults.LineOf(file, "State"), "Z") {
			n++
		}
	}
	return n
}

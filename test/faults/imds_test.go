package faults_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/faults"
	"rolecall/test/world"
)

// instance is a site whose daemon holds the role of an EC2 instance.
func instance(t *testing.T) *site {
	s := newSite(t, fakeaws.Config{})
	newReader(t, s.serve(world.Options{Plain: true}, "--load", "imds")).warm(t, "/")
	return s
}

// processes are short-lived programs, one after the other in each of 16 places:
// each reads the credentials once, over a connection of its own.
func (s *site) processes(n int) (failed int) {
	var bad, next atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for next.Add(1) <= int64(n) {
				status, a, err := s.daemon.Get("/")
				if end, _ := a["Expiration"].(string); err != nil || status != http.StatusOK || a["AccessKeyId"] == "" || end <= time.Now().UTC().Format(time.RFC3339) {
					bad.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return int(bad.Load())
}

func TestRow59InstanceRounds(t *testing.T) {
	t.Parallel()
	s := instance(t)
	failed, rounds := 0, 1
	for range 5 {
		failed += s.processes(many(10_000) / 5)
		if _, err := s.refresh(""); err != nil {
			t.Error(err)
		}
		rounds++
	}
	token, list, document := s.AWS.Calls("imds:token"), s.AWS.Calls("imds:list"), s.AWS.Calls("imds:credentials")
	row(t, 59, failed == 0 && token == 1 && list == rounds && document == rounds,
		"%d of %d processes without credentials; %d refreshes took %d requests: %d for a token, %d for the role's name, %d for its credentials", failed, many(10_000), rounds, token+list+document, token, list, document)
}

func TestRow60InstanceTrouble(t *testing.T) {
	t.Parallel()
	s := instance(t)
	failed, reads, refused := 0, 0, 0
	worst := time.Duration(0)
	for _, f := range []fakeaws.Fault{
		{Match: "imds:*", Status: 429}, {Match: "imds:*", Status: 429, RetryAfter: 5 * time.Second}, {Match: "imds:*", Status: 503}, {Match: "imds:*", Reset: true},
		{Match: "imds:*", Hang: true}, {Match: "imds:credentials", Hang: true}, {Match: "imds:*", Delay: 1500 * time.Millisecond}, {Match: "imds:*", Drip: time.Second},
		{Match: "imds:*", Body: []byte("<html>Please sign in to the network</html>")}, {Match: "imds:credentials", Expired: true}, {Match: "imds:credentials", Truncate: true},
		{Match: "imds:credentials", Code: "Failed"}, {Match: "imds:list", Status: 404}, {Match: "imds:credentials", Status: 404},
	} {
		s.AWS.ClearFaults()
		s.AWS.ForgetIMDSTokens()
		s.AWS.Script(f)
		done := make(chan error)
		go func() {
			took, err := s.refresh("")
			worst = max(worst, took)
			done <- err
		}()
		failed += s.processes(many(700))
		reads += many(700)
		err := <-done
		if late := f.Delay > 0; late != (err == nil) {
			t.Errorf("%+v: the refresh ended with %v", f, err)
		}
		if err != nil {
			refused++
		}
		failed += s.processes(1)
		reads++
	}
	s.AWS.ClearFaults()
	if _, err := s.refresh(""); err != nil {
		t.Error(err)
	}
	row(t, 60, failed == 0 && faults.Within(worst, 10*time.Second), "%d of %d reads failed over 14 kinds of trouble, %d of which ended a refresh; a refresh ended after %s at most; the next one worked", failed, reads, refused, sec(worst))
}

func TestRow61InstanceTokens(t *testing.T) {
	t.Parallel()
	s := instance(t)
	failed, lost := 0, 0
	for range many(20) {
		s.AWS.ForgetIMDSTokens()
		if _, err := s.refresh(""); err != nil {
			lost++
		}
		failed += s.processes(20)
	}
	for _, status := range []int{403, 404, 405, 401, 400} {
		s.AWS.ForgetIMDSTokens()
		s.AWS.Script(fakeaws.Fault{Match: "imds:token", Status: status})
		if _, err := s.refresh(""); err == nil {
			t.Errorf("a token request answered with %d was no failure", status)
		} else if !strings.Contains(err.Error(), fmt.Sprint(status)) {
			t.Errorf("%d: %v", status, err)
		}
		failed += s.processes(20)
		s.AWS.ClearFaults()
		if _, err := s.refresh(""); err != nil {
			lost++
		}
	}
	v1 := 0
	for _, r := range s.AWS.Requests() {
		if strings.HasPrefix(r.Op, "imds:") && r.Op != "imds:token" && r.Status == http.StatusUnauthorized {
			v1++
		}
	}
	row(t, 61, failed == 0 && lost == 0 && v1 <= many(20)+5, "%d refreshes lost over %d restarts of the service and 5 kinds of refusal that heal; %d reads failed; %d requests met 401, each of them once", lost, many(20), failed, v1)
}

package mock

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// Whatever is posted, the faults are changed as a whole or not at all, and the answer is JSON.
func FuzzSetRequest(f *testing.F) {
	f.Add(`{"faults":["throttle=20%","delay=1s"]}`)
	f.Add(`{"faults":["reset"],"add":true}`)
	f.Add(`{"faults":["reset","nonsense"]}`)
	f.Add(`{"faults":["v1-only","v2-only"]}`)
	f.Add(`{"faults":null}{`)
	f.Add(`[]`)
	m, err := Start(Config{Seed: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(m.Close)
	h := m.admin([]string{"127.0.0.1:1"}, http.NotFoundHandler())
	texts := func() (all []string) {
		for _, s := range m.Status().Faults {
			all = append(all, s.Fault)
		}
		return all
	}
	f.Fuzz(func(t *testing.T, body string) {
		m.rules.reset()
		if err := m.rules.set([]Fault{{Kind: Hang}}, false); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("POST", "http://127.0.0.1:1"+pathFaults, strings.NewReader(body))
		r.RemoteAddr = "127.0.0.1:2"
		r.Header.Set(adminHeader, "1")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("the answer is no JSON: %q", w.Body)
		}
		var q setRequest
		switch w.Code {
		case http.StatusOK:
			if err := json.Unmarshal([]byte(body), &q); err != nil {
				t.Fatalf("%q was taken: %v", body, err)
			}
			want := []string{}
			if q.Add {
				want = append(want, "hang")
			}
			for _, text := range q.Faults {
				one, err := ParseFault(text)
				if err != nil {
					t.Fatalf("%q was taken: %v", text, err)
				}
				want = append(want, one.String())
			}
			if got := texts(); !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		case http.StatusBadRequest:
			if got := texts(); !slices.Equal(got, []string{"hang"}) {
				t.Errorf("%q was refused, and the faults are %q", body, got)
			}
		default:
			t.Errorf("status %d", w.Code)
		}
	})
}

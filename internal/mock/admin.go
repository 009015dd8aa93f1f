package mock

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// admin answers below /_mock/ and hands everything else on. It is there on loopback only.
func (m *Mock) admin(hosts []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, adminPath) {
			next.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		if why := refused(r, hosts); why != "" {
			answer(w, http.StatusForbidden, refusal{Message: why})
			return
		}
		switch r.Method + " " + r.URL.Path {
		case "GET " + pathStatus:
		case "DELETE " + pathFaults:
			m.rules.reset()
		case "POST " + pathFaults:
			if err := m.set(w, r); err != nil {
				no := refusal{Message: err.Error()}
				var syntax *SyntaxError
				if errors.As(err, &syntax) {
					no.Hint = syntax.Hint()
				}
				answer(w, http.StatusBadRequest, no)
				return
			}
		default:
			answer(w, http.StatusNotFound, refusal{Message: "there is no such request to a mock"})
			return
		}
		answer(w, http.StatusOK, m.Status())
	})
}

// refused says why a request may not change the mock, or "". A browser cannot get past it: a page of another
// origin cannot send the header without asking first, and its question is refused too; a rebound name is no
// Host of ours; and browsers name the origin.
func refused(r *http.Request, hosts []string) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return "only this machine changes the mock"
	}
	if !slices.Contains(hosts, r.Host) {
		return "the Host is not the mock's own address"
	}
	for _, name := range []string{"Origin", "Referer", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Forwarded", "X-Forwarded-For", "Via"} {
		if len(r.Header.Values(name)) > 0 {
			return "browsers and proxies do not change the mock: there is a header " + name
		}
	}
	if r.Header.Get(adminHeader) != "1" {
		return "the header " + adminHeader + ": 1 is missing"
	}
	return ""
}

// set puts the faults of a request into force, all or none.
func (m *Mock) set(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAdmin))
	if err != nil {
		return errors.New("the body cannot be read, or is too long")
	}
	var q setRequest
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil || q.Faults == nil || !json.Valid(body) { // Decode leaves what comes after
		return wrong("the body is not what is expected", `{"faults": ["throttle=20%"]}`)
	}
	var faults []Fault
	for _, text := range q.Faults {
		f, err := ParseFault(text)
		if err != nil {
			return err
		}
		faults = append(faults, f)
	}
	return m.rules.set(faults, q.Add)
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client has gone
}

// hostsOf are the Hosts of a listener on loopback; none elsewhere.
func hostsOf(a net.Addr) []string {
	addr, err := netip.ParseAddrPort(a.String())
	if err != nil || !addr.Addr().Unmap().IsLoopback() {
		return nil
	}
	_, port, _ := net.SplitHostPort(a.String())
	return []string{addr.String(), "localhost:" + port}
}

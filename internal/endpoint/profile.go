package endpoint

import (
	"fmt"
	"net/http"
	"time"
)

// Profile is what there is to tell of a slot's content.
type Profile struct {
	ProfileName string
	AccountID   string
	RoleName    string
	Expires     time.Time // zero: the slot never held anything
}

// wireProfile is the answer of /profile and /slot, as in the aws-sso server.
type wireProfile struct {
	ProfileName string
	AccountID   string `json:"AccountId"`
	RoleName    string
	Expiration  int64 // Unix seconds; 0 when the slot holds nothing
	Expires     string
}

func (p Profile) wire(now time.Time) wireProfile {
	w := wireProfile{ProfileName: p.ProfileName, AccountID: p.AccountID, RoleName: p.RoleName}
	if !p.Expires.IsZero() {
		w.Expiration = p.Expires.Unix()
	}
	w.Expires = remaining(p.Expires, now)
	return w
}

func wireProfiles(all []Profile, now time.Time) []wireProfile {
	list := make([]wireProfile, 0, len(all)) // [] and never null
	for _, p := range all {
		list = append(list, p.wire(now))
	}
	return list
}

// remaining is a lifetime for people: "1h 59m".
func remaining(expires, now time.Time) string {
	left := expires.Sub(now)
	switch {
	case expires.IsZero():
		return "Never loaded"
	case left <= 0:
		return "Expired"
	case left < time.Minute:
		return "<1m"
	case left < time.Hour:
		return fmt.Sprintf("%dm", int(left.Minutes()))
	}
	return fmt.Sprintf("%dh %dm", int(left.Hours()), int(left.Minutes())%60)
}

// health answers /healthcheck: whether a slot could answer now. It tells
// nothing else, as nobody is asked who they are.
func (e *ECS) health(w http.ResponseWriter, r *http.Request, t Target) *Refusal {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		refused := refuse(http.StatusMethodNotAllowed, "method", "this method is not for this path")
		refused.Allow = "GET, HEAD"
		return refused
	}
	type status struct {
		Status string `json:"status"`
	}
	p, err := e.c.Shelf.Profile(t.Name)
	switch now := time.Now(); {
	case err != nil || p.Expires.IsZero():
		writeJSON(w, http.StatusServiceUnavailable, status{"no credentials loaded"})
	case !p.Expires.After(now):
		writeJSON(w, http.StatusServiceUnavailable, status{"credentials expired"})
	default:
		writeJSON(w, http.StatusOK, status{"ok"})
	}
	return nil
}

package endpoint

import (
	"net/http"
	"net/netip"
	"slices"
)

// IMDSAccess is what the metadata endpoint goes by beside its Guard. It is
// replaced as a whole on a reload.
type IMDSAccess struct {
	Allow    []netip.Prefix // clients let in by their address, whoever they are; empty: none
	V1       bool           // answer requests without an IMDS token
	HopLimit int            // IP TTL of answers on connections that asked for a token; zero: the system's own
}

// MetadataHosts are the names that clients of a metadata service know it by,
// whatever address their requests are led to.
func MetadataHosts() []string { return []string{"169.254.169.254", "[fd00:ec2::254]"} }

// client says who may have what the metadata endpoint tells, and whose its
// tokens are: a client on this machine of a user that the Guard lets in, or one
// from elsewhere at an address that the configuration names. A user of this
// machine is never judged by the address, which anybody here can have. No
// authorization token can be shown here, so that there is no other way in,
// whatever the mode of the Guard.
func (m *IMDS) client(c *Conn) (holder, *Refusal) {
	p, from := c.Peer(), c.remote.Addr()
	if p.Known {
		if !slices.ContainsFunc(m.c.Guard.access.Load().UIDs, p.Is) {
			return holder{}, refuse(http.StatusForbidden, "other_user", "403 - Forbidden: this user is not let in; auth.allow_uids in the configuration lists those that are")
		}
		return holderOf(p, from), nil
	}
	for _, allowed := range m.access.Load().Allow {
		if allowed.Contains(from) {
			return holderOf(p, from), nil
		}
	}
	return holder{}, refuse(http.StatusForbidden, "unknown_peer", "403 - Forbidden: the system does not tell whose connection this is, and imds_allow in the configuration does not list its address")
}

// foreign is the Guard's, and refuses bodies of PUT too: no SDK sends one.
func (m *IMDS) foreign(r *http.Request, c *Conn) *Refusal {
	if refused := m.c.Guard.foreign(r, c); refused != nil {
		return refused
	}
	if r.ContentLength != 0 {
		refused := refuse(http.StatusBadRequest, "unexpected_body", "requests for metadata have no body")
		refused.Close = true
		return refused
	}
	return nil
}

// session says why a request for metadata may not be answered by the token that
// it shows or does not show. A token that is shown must be right, whether one is
// needed or not. v1 says that none was shown.
func (m *IMDS) session(r *http.Request, c *Conn, who holder) (v1 bool, refused *Refusal) {
	given, shown := r.Header[tokenHeader]
	switch {
	case len(given) == 1 && m.tokens.knows(given[0], who, &c.token):
		return false, nil
	case shown:
		return false, refuse(http.StatusUnauthorized, "wrong_imds_token", "401 - Unauthorized: this IMDS token has ended or is none of ours")
	case !m.access.Load().V1:
		// 401 and nothing else: SDKs that fell back to version 1 come back from it.
		return false, refuse(http.StatusUnauthorized, "no_imds_token", "401 - Unauthorized: an IMDS token is needed (PUT /latest/api/token)")
	case pageRenderer(r.Header):
		return false, refuse(http.StatusForbidden, "foreign_header", "programs that render pages (a User-Agent that begins with Mozilla/) need an IMDS token")
	}
	return true, nil
}

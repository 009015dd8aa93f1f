package fakeaws

import (
	"fmt"
	"html"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// authorize is the page a browser opens for a sign-in with PKCE. It sends the browser back to the program's
// redirect_uri with a code, at once or after the button (Config.ManualApproval).
func (s *Server) authorize(c *call) reply {
	q := c.form
	back, ok := loopbackRedirect(q.Get("redirect_uri"))
	s.mu.Lock()
	client, known := s.oidc.clients.m[q.Get("client_id")]
	s.mu.Unlock()
	if !ok || !known || !client.redirectsTo(back) {
		// Never redirect to what was not registered (RFC 6749 §3.1.2.4).
		return page(http.StatusBadRequest, pageData{Title: "Sign-in failed", Text: "client_id or redirect_uri is not valid."})
	}
	answer := url.Values{}
	if state := q.Get("state"); state != "" {
		answer.Set("state", state)
	}
	switch {
	case q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "":
		answer.Set("error", "invalid_request")
		answer.Set("error_description", "response_type code and a code_challenge with S256 are required")
	case s.cfg.ManualApproval && c.r.Method == http.MethodGet:
		return page(http.StatusOK, pageData{Title: "Allow access?", Text: "A program asks to sign in.", Ask: true})
	case s.cfg.ManualApproval && q.Get("decision") != "allow":
		answer.Set("error", "access_denied")
	default:
		code := s.newOpaque()
		s.mu.Lock()
		s.oidc.codes.put(code, authCode{
			clientID: q.Get("client_id"), redirectURI: q.Get("redirect_uri"),
			challenge: q.Get("code_challenge"), expires: s.now().Add(s.cfg.CodeLifetime),
		})
		s.mu.Unlock()
		answer.Set("code", code)
	}
	old := back.Query()
	for k, v := range answer {
		old[k] = v
	}
	back.RawQuery = old.Encode()
	rep := newReply(http.StatusFound, "text/html; charset=utf-8", nil)
	if c.r.Method == http.MethodPost {
		rep.status = http.StatusSeeOther
	}
	rep.header.Set("Location", back.String())
	return rep
}

// devicePage is where a person types or confirms a user code.
func (s *Server) devicePage(c *call) reply {
	code := c.form.Get("user_code")
	if c.r.Method == http.MethodGet {
		return page(http.StatusOK, pageData{Title: "Allow access?", Text: "Does the program show this code?", Code: code, Ask: true})
	}
	decide, text := s.DenyDevice, "Denied. You can close this window."
	if c.form.Get("decision") == "allow" {
		decide, text = s.ApproveDevice, "Allowed. You can close this window."
	}
	if !decide(code) {
		return page(http.StatusNotFound, pageData{Title: "No such code", Text: "The code is wrong or has expired."})
	}
	return page(http.StatusOK, pageData{Title: "Done", Text: text})
}

// redirectsTo holds when the client registered back, leaving the port aside (RFC 8252 §7.3). A client that
// registered none may go to any loopback address.
func (c oidcClient) redirectsTo(back *url.URL) bool {
	return len(c.redirectURIs) == 0 || slices.ContainsFunc(c.redirectURIs, func(text string) bool {
		u, err := url.Parse(text)
		return err == nil && u.Scheme == back.Scheme && u.Hostname() == back.Hostname() &&
			strings.TrimSuffix(u.Path, "/") == strings.TrimSuffix(back.Path, "/")
	})
}

// loopbackRedirect parses a redirect URI, which has to be plain http on loopback.
func loopbackRedirect(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" || u.User != nil || u.Fragment != "" {
		return nil, false
	}
	ip := net.ParseIP(u.Hostname())
	return u, u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

type pageData struct {
	Title, Text, Code string
	Ask               bool
}

// page is written by hand: a template engine in the binary keeps the linker
// from leaving out what nobody calls, a quarter of it.
func page(status int, data pageData) reply {
	title, code := html.EscapeString(data.Title), html.EscapeString(data.Code)
	form := ""
	if data.Ask {
		if code != "" {
			form = fmt.Sprintf(`<p><strong>%[1]s</strong></p><input type="hidden" name="user_code" value="%[1]s">`, code)
		}
		form = `<form method="post">` + form + `<button name="decision" value="allow">Allow</button> <button name="decision" value="deny">Deny</button></form>`
	}
	return newReply(status, "text/html; charset=utf-8", fmt.Appendf(nil, `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>%[1]s</title></head>
<body><h1>%[1]s</h1><p>%[2]s</p>
%[3]s
<p><small>A fake AWS on loopback.</small></p></body></html>
`, title, html.EscapeString(data.Text), form))
}

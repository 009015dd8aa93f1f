package fakeaws

import (
	"net/http"
	"net/url"
	"strings"
)

// handler answers one operation.
type handler func(*call) reply

// route names the operation of c and finds its handler. It never redirects: SDKs would not follow.
func (s *Server) route(c *call) handler {
	path := c.r.URL.Path
	for strings.HasPrefix(path, "//") { // Java's client asks for //latest when its endpoint ends in a slash
		path = path[1:]
	}
	method := c.r.Method
	switch {
	case strings.HasPrefix(path, "/latest/"):
		return s.routeIMDS(c, path)
	case strings.HasPrefix(path, "/container/"):
		c.kind, c.op = shapeContainer, "container:credentials"
		c.name = strings.TrimPrefix(path, "/container/")
		c.role = "arn:aws:iam::" + s.cfg.Account + ":role/" + c.name
		return s.containerCredentials
	case path == "/" && (method == http.MethodPost || c.form.Has("Action")):
		return s.routeQuery(c)
	}
	switch method + " " + path {
	case "GET /federation/credentials":
		c.kind, c.op = shapeJSON, "sso:GetRoleCredentials"
		c.name = c.query.Get("role_name")
		c.role = s.ssoRoleARN(c.query.Get("account_id"), c.name)
		return s.getRoleCredentials
	case "GET /assignment/accounts":
		c.kind, c.op = shapeJSON, "sso:ListAccounts"
		return s.listAccounts
	case "GET /assignment/roles":
		c.kind, c.op = shapeJSON, "sso:ListAccountRoles"
		return s.listAccountRoles
	case "POST /logout":
		c.kind, c.op = shapeJSON, "sso:Logout"
		return s.ssoLogout
	case "POST /client/register":
		c.kind, c.op = shapeOIDC, "oidc:RegisterClient"
		return s.registerClient
	case "POST /device_authorization":
		c.kind, c.op = shapeOIDC, "oidc:StartDeviceAuthorization"
		return s.startDeviceAuthorization
	case "POST /token":
		c.kind, c.op = shapeOIDC, "oidc:CreateToken"
		return s.createToken
	case "GET /authorize", "POST /authorize":
		c.kind, c.op = shapeText, "oidc:Authorize"
		return s.authorize
	case "GET /device", "POST /device":
		c.kind, c.op = shapeText, "oidc:Device"
		return s.devicePage
	}
	c.kind, c.op = shapeJSON, "unknown"
	return func(c *call) reply {
		return c.errorReply(http.StatusNotFound, "UnknownOperationException", "no such operation here")
	}
}

// routeQuery sorts the query API, where one path serves all and Action tells.
func (s *Server) routeQuery(c *call) handler {
	if h := s.routeSetup(c); h != nil {
		return h
	}
	c.kind = shapeXML
	action := c.form.Get("Action")
	c.op = "sts:" + action
	switch action {
	case "AssumeRole":
		c.role = c.form.Get("RoleArn")
		c.name = roleName(c.role)
		return s.assumeRole
	case "AssumeRoleWithWebIdentity":
		c.role = c.form.Get("RoleArn")
		c.name = roleName(c.role)
		return s.assumeRoleWithWebIdentity
	case "GetSessionToken":
		return s.getSessionToken
	case "GetCallerIdentity":
		return s.getCallerIdentity
	}
	c.op = "unknown" // never the caller's own words: they would grow the counters without bound
	return func(c *call) reply {
		return c.errorReply(http.StatusBadRequest, "InvalidAction", "Could not find operation for version 2011-06-15")
	}
}

// signingKey is the access key id of a SigV4 header or of a presigned query; "" when unsigned.
func signingKey(r *http.Request, form url.Values) string {
	credential := form.Get("X-Amz-Credential")
	if auth, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-"); ok {
		_, credential, _ = strings.Cut(auth, "Credential=")
	}
	id, _, ok := strings.Cut(credential, "/")
	if !ok || len(id) > 128 || !isAlphanumeric(id) {
		return ""
	}
	return id
}

func isAlphanumeric(s string) bool {
	for i := range len(s) {
		b := s[i]
		if (b < '0' || b > '9') && (b < 'A' || b > 'Z') && (b < 'a' || b > 'z') {
			return false
		}
	}
	return true
}

package fakeaws

import (
	"crypto/subtle"
	"net/http"
)

// SetContainerAuthorization changes what /container/NAME asks for in the Authorization header. "": nothing.
func (s *Server) SetContainerAuthorization(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.contAuth = value
}

// ContainerURL is where the container credentials of the role name stand, for AWS_CONTAINER_CREDENTIALS_FULL_URI.
func (s *Server) ContainerURL(name string) string { return s.URL() + "/container/" + name }

func (s *Server) containerCredentials(c *call) reply {
	if c.r.Method != http.MethodGet {
		return c.errorReply(http.StatusMethodNotAllowed, "MethodNotAllowed", "only GET is answered here")
	}
	s.mu.Lock()
	want := s.contAuth
	s.mu.Unlock()
	if want != "" && subtle.ConstantTimeCompare([]byte(c.r.Header.Get("Authorization")), []byte(want)) != 1 {
		return c.errorReply(http.StatusUnauthorized, "Unauthorized", "the Authorization header is missing or wrong")
	}
	a, ok := parseRoleARN(c.role)
	if !ok {
		return c.errorReply(http.StatusNotFound, "NotFound", "no such credentials")
	}
	if s.roleRules(c.role).Denied {
		return c.errorReply(http.StatusForbidden, "AccessDenied", "the role cannot be assumed")
	}
	k := s.issue(c, roleSession(c.role, "container"), defaultLifetime)
	return jsonReply(http.StatusOK, struct {
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string
		Token           string
		Expiration      string
		RoleArn         string
		AccountID       string `json:"AccountId"`
	}{k.AccessKeyID, k.SecretAccessKey, k.SessionToken, k.Expires.Format(awsTime), c.role, a.account})
}

package fakeaws

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	opIMDSCredentials = "imds:credentials"

	imdsToken    = "/latest/api/token"
	imdsRoles    = "/latest/meta-data/iam/security-credentials"
	imdsIdentity = "/latest/dynamic/instance-identity/document"
	imdsInstance = "i-0fa4e0fa4e0fa4e0f"

	headerTTL   = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
	headerToken = "X-Aws-Ec2-Metadata-Token"
	maxTTL      = 21600 // seconds
)

// imdsState is the metadata service's memory.
type imdsState struct {
	tokens kept[time.Time] // :: IMDS token → end
	role   string          // ARN; "" when the instance has none
}

func newIMDSState(account string) imdsState {
	return imdsState{tokens: newKept[time.Time](), role: "arn:aws:iam::" + account + ":role/instance-role"}
}

// SetInstanceRole sets the role that the metadata service hands out. "" takes it away: the list answers 404.
// At the start it is instance-role of Config.Account.
func (s *Server) SetInstanceRole(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.imds.role = arn
}

// ForgetIMDSTokens drops every IMDS token, as a restart of the service would.
func (s *Server) ForgetIMDSTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.imds.tokens = newKept[time.Time]()
}

func (s *Server) routeIMDS(c *call, path string) handler {
	c.kind = shapeIMDS
	s.mu.Lock()
	c.role = s.imds.role
	s.mu.Unlock()
	name, isRole := strings.CutPrefix(path, imdsRoles+"/")
	switch {
	case path == imdsToken:
		c.op, c.role = "imds:token", ""
		return s.imdsPutToken
	case path == imdsRoles || isRole && name == "":
		c.op, c.name = "imds:list", roleName(c.role)
		return s.imdsGuarded(func(c *call) reply {
			if c.role == "" {
				return c.errorReply(http.StatusNotFound, "", "")
			}
			return imdsText(c.name)
		})
	case isRole:
		c.op, c.name = opIMDSCredentials, name
		return s.imdsGuarded(s.imdsCredentials)
	case path == imdsIdentity:
		c.op, c.role = "imds:identity-document", ""
		return s.imdsGuarded(s.imdsIdentityDocument)
	}
	role := c.role
	c.role = ""
	text := ""
	c.op, text = s.imdsTree(strings.TrimSuffix(path, "/"), role)
	return s.imdsGuarded(func(c *call) reply {
		if text == "" {
			return c.errorReply(http.StatusNotFound, "", "")
		}
		return imdsText(text)
	})
}

// imdsText has no newline at its end: some SDKs would take it for part of the name.
func imdsText(text string) reply { return newReply(http.StatusOK, "text/plain", []byte(text)) }

func (s *Server) imdsPutToken(c *call) reply {
	if c.fault.NoTokens {
		return c.errorReply(http.StatusNotFound, "", "")
	}
	if c.r.Method != http.MethodPut {
		rep := c.errorReply(http.StatusMethodNotAllowed, "", "")
		rep.header.Set("Allow", http.MethodPut)
		return rep
	}
	if len(c.r.Header.Values("X-Forwarded-For")) > 0 {
		return c.errorReply(http.StatusForbidden, "", "")
	}
	text := c.r.Header.Get(headerTTL)
	ttl, err := strconv.Atoi(text)
	if err != nil || ttl < 1 || ttl > maxTTL {
		return c.errorReply(http.StatusBadRequest, "", "")
	}
	life := time.Duration(ttl) * time.Second
	if c.fault.Lifetime > 0 {
		life = c.fault.Lifetime
	}
	if c.fault.Expired {
		life = -time.Minute
	}
	token := s.newOpaque()
	if c.fault.EmptyKeys {
		token = ""
	}
	s.mu.Lock()
	s.imds.tokens.put(token, s.now().Add(life))
	s.mu.Unlock()
	rep := imdsText(token)
	rep.header.Set(headerTTL, strconv.Itoa(ttl))
	return rep
}

// imdsGuarded lets through a GET with a good IMDS token, or without any where v1 is on.
func (s *Server) imdsGuarded(next handler) handler {
	return func(c *call) reply {
		if c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
			return c.errorReply(http.StatusMethodNotAllowed, "", "")
		}
		if c.fault.ForgetTokens {
			s.ForgetIMDSTokens()
		}
		tokens := c.r.Header.Values(headerToken)
		if c.fault.NoTokens || len(tokens) == 0 && s.cfg.IMDSv1 && !c.fault.NeedToken {
			if len(c.r.Header.Values("X-Forwarded-For")) > 0 {
				return c.errorReply(http.StatusForbidden, "", "")
			}
			return next(c)
		}
		good := false
		if len(tokens) == 1 && tokens[0] != "" {
			s.mu.Lock()
			ends, known := s.imds.tokens.m[tokens[0]]
			s.mu.Unlock()
			good = known && s.now().Before(ends)
		}
		if !good {
			return c.errorReply(http.StatusUnauthorized, "", "")
		}
		return next(c)
	}
}

func (s *Server) imdsCredentials(c *call) reply {
	if c.role == "" || c.name != roleName(c.role) {
		return c.errorReply(http.StatusNotFound, "", "")
	}
	if s.roleRules(c.role).Denied {
		return s.imdsFailure("AssumeRoleUnauthorizedAccess", "EC2 cannot assume the role "+c.name+
			". Please see documentation at https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_iam-ec2.html.")
	}
	k := s.issue(c, roleSession(c.role, imdsInstance), 6*time.Hour)
	return imdsJSON(imdsDocument{
		Code: "Success", LastUpdated: k.Start.Format(awsTime), Type: "AWS-HMAC",
		AccessKeyID: k.AccessKeyID, SecretAccessKey: k.SecretAccessKey, Token: k.SessionToken,
		Expiration: k.Expires.Format(awsTime),
	})
}

type imdsDocument struct {
	Code, LastUpdated, Type string
	AccessKeyID             string `json:"AccessKeyId"`
	SecretAccessKey, Token  string
	Expiration              string
}

// imdsFailure is the document of a role that the instance cannot have: 200, and no keys.
func (s *Server) imdsFailure(code, message string) reply {
	return imdsJSON(map[string]string{
		"Code": code, "Message": message, "LastUpdated": s.now().UTC().Format(awsTime),
	})
}

func (s *Server) imdsIdentityDocument(*call) reply {
	return imdsJSON(map[string]any{
		"accountId": s.cfg.Account, "architecture": "x86_64", "availabilityZone": s.cfg.Region + "a",
		"imageId": "ami-0fa4e0fa4e0fa4e0f", "instanceId": imdsInstance, "instanceType": "t3.micro",
		"pendingTime": "2026-01-02T03:04:05Z", "privateIp": "10.0.0.10", "region": s.cfg.Region, "version": "2017-09-30",
	})
}

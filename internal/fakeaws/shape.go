package fakeaws

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strconv"
)

// errorShape is how a service says no.
type errorShape int

const (
	shapeXML       errorShape = iota // STS: ErrorResponse
	shapeJSON                        // SSO portal: __type and X-Amzn-Errortype
	shapeOIDC                        // the same, with OAuth's error and error_description
	shapeText                        // pages
	shapeIMDS                        // IMDS: an HTML page with the status
	shapeContainer                   // container endpoint: code and message, both spellings
)

func (k errorShape) contentType() string {
	switch k {
	case shapeXML:
		return "text/xml"
	case shapeText, shapeIMDS:
		return "text/plain"
	}
	return "application/json"
}

// usualCode is the code that AWS mostly sends with an HTTP status.
func (k errorShape) usualCode(status int) string {
	code, suffix := "", ""
	if k == shapeJSON || k == shapeOIDC {
		suffix = "Exception"
	}
	switch status {
	case http.StatusUnauthorized:
		code = "Unauthorized"
	case http.StatusForbidden:
		code = "AccessDenied"
	case http.StatusNotFound:
		code = "ResourceNotFound"
	case http.StatusTooManyRequests:
		code = "Throttling"
		if suffix != "" {
			code = "TooManyRequests"
		}
	case http.StatusServiceUnavailable:
		code = "ServiceUnavailable"
	default:
		code = "InvalidRequest"
		if status >= 500 {
			code = "InternalFailure"
			if suffix != "" {
				code = "InternalServer"
			}
		}
	}
	return code + suffix
}

// oauthCode is OAuth's own word (RFC 6749 §5.2, RFC 8628 §3.5) for an exception of the OIDC service.
func oauthCode(exception string) string {
	switch exception {
	case "AccessDeniedException":
		return "access_denied"
	case "AuthorizationPendingException":
		return "authorization_pending"
	case "ExpiredTokenException":
		return "expired_token"
	case "InternalServerException":
		return "server_error"
	case "InvalidClientException":
		return "invalid_client"
	case "InvalidGrantException":
		return "invalid_grant"
	case "InvalidRequestException":
		return "invalid_request"
	case "SlowDownException":
		return "slow_down"
	case "UnauthorizedClientException":
		return "unauthorized_client"
	case "UnsupportedGrantTypeException":
		return "unsupported_grant_type"
	}
	return exception
}

// errorReply says no in the shape of c's service.
func (c *call) errorReply(status int, code, message string) reply {
	switch c.kind {
	case shapeXML:
		type detail struct {
			Type, Code, Message string
		}
		fault := "Sender"
		if status >= 500 {
			fault = "Receiver"
		}
		return xmlReply(status, struct {
			XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
			Error     detail
			RequestId string
		}{Error: detail{fault, code, message}, RequestId: newUUID()})
	case shapeText:
		return newReply(status, "text/plain", []byte(strconv.Itoa(status)+" - "+http.StatusText(status)))
	case shapeIMDS:
		return imdsPage(status)
	case shapeContainer:
		return jsonReply(status, map[string]string{"code": code, "message": message, "Code": code, "Message": message})
	}
	body := map[string]string{"__type": code, "message": message}
	if c.kind == shapeOIDC {
		body["error"], body["error_description"] = oauthCode(code), message
	}
	rep := jsonReply(status, body)
	rep.header.Set("X-Amzn-Errortype", code)
	return rep
}

func jsonReply(status int, v any) reply {
	body, err := json.Marshal(v)
	if err != nil { // only strings, numbers and lists of them are ever passed in
		return newReply(http.StatusInternalServerError, "text/plain", []byte("encoding: "+err.Error()))
	}
	return newReply(status, "application/json", body)
}

func xmlReply(status int, v any) reply {
	body, err := xml.Marshal(v)
	if err != nil {
		return newReply(http.StatusInternalServerError, "text/plain", []byte("encoding: "+err.Error()))
	}
	return newReply(status, "text/xml", append([]byte(xml.Header), body...))
}

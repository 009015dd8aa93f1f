package faults_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
)

// garbage is what an upstream may answer instead of credentials.
func garbage(op string) map[string]fakeaws.Fault {
	body := func(text string) fakeaws.Fault { return fakeaws.Fault{Body: []byte(text)} }
	faults := map[string]fakeaws.Fault{
		"cut":              {Truncate: true},
		"empty keys":       {EmptyKeys: true},
		"ended":            {Expired: true},
		"nothing":          {Body: []byte{}},
		"no content":       {Body: []byte{}, Status: 204},
		"HTML":             {Body: []byte("<html><body>Please sign in to the network</body></html>"), ContentType: "text/html"},
		"HTML with 503":    {Body: []byte("<html>gone</html>"), ContentType: "text/html", Status: 503},
		"text":             body("try later"),
		"nul bytes":        body("\x00\x00\x00\x00"),
		"not UTF-8":        body("\xff\xfe{\x80}"),
		"a lone brace":     body("{"),
		"null":             body("null"),
		"a number":         body("42"),
		"true":             body("true"),
		"a string":         body(`"ASIA"`),
		"an array":         body("[]"),
		"array of objects": body(`[{"AccessKeyId":"a"}]`),
		"an object":        body("{}"),
		"deep":             body(strings.Repeat("[", 20_000)),
		"deep XML":         body(strings.Repeat("<a>", 5_000)),
		"XML":              body("<AssumeRoleResponse></AssumeRoleResponse>"),
		"other XML":        body("<GetCallerIdentityResponse><GetCallerIdentityResult/></GetCallerIdentityResponse>"),
		"an XML bomb":      body(`<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><AssumeRoleResponse>&b;</AssumeRoleResponse>`),
		"404":              {Status: 404, Body: []byte("no such page")},
		"418":              {Status: 418, Body: []byte("short and stout")},
		"500":              {Status: 500, Body: []byte("oops")},
		"599":              {Status: 599, Body: []byte("?")},
		"a year too far":   body(answer(op, "ASIAX", "s", "t", "9999999999999-01-01T00:00:00Z")),
		"no key id":        body(answer(op, "", "s", "t", inAnHour())),
		"no secret":        body(answer(op, "ASIAX", "", "t", inAnHour())),
		"no token":         body(answer(op, "ASIAX", "s", "", inAnHour())),
		"no end":           body(answer(op, "ASIAX", "s", "t", "")),
		"an end of zero":   body(answer(op, "ASIAX", "s", "t", "0001-01-01T00:00:00Z")),
		"an end in words":  body(answer(op, "ASIAX", "s", "t", "tomorrow")),
		"ended long ago":   body(answer(op, "ASIAX", "s", "t", "1970-01-01T00:00:00Z")),
		"a huge key":       body(answer(op, strings.Repeat("A", 5000), "s", "t", inAnHour())),
		"a huge token":     body(answer(op, "ASIAX", "s", strings.Repeat("t", 62<<10), inAnHour())),
		"two documents":    body(answer(op, "ASIAX", "s", "t", "x") + answer(op, "ASIAX", "s", "t", "x")),
		"numbers for text": body(`{"AccessKeyId":1,"SecretAccessKey":2,"Token":3,"Expiration":4,"Code":5,"roleCredentials":{"accessKeyId":1,"secretAccessKey":2,"sessionToken":3,"expiration":"x"}}`),
		"null fields":      body(`{"AccessKeyId":null,"SecretAccessKey":null,"Token":null,"Expiration":null,"roleCredentials":null}`),
		"arrays for text":  body(`{"AccessKeyId":["a"],"SecretAccessKey":{},"Token":[],"roleCredentials":[]}`),
		"newline in a key": body(answer(op, "ASIA\nX", "s", "t", inAnHour())),
	}
	if strings.HasPrefix(op, "imds:") || strings.HasPrefix(op, "container:") {
		faults["a failure's code"] = body(strings.Replace(answer(op, "ASIAX", "s", "t", inAnHour()), "{", `{"Code":"Failed",`, 1))
		faults["the Roles Anywhere helper's"] = body(`{"AccessKeyId":"","SecretAccessKey":"","Token":"","Expiration":"0001-01-01T00:00:00Z","Code":"Success"}`)
	}
	return faults
}

func inAnHour() string { return time.Now().Add(2 * time.Hour).UTC().Format(time.RFC3339) }

// answer is one with these fields, in the form of the operation.
func answer(op, id, secret, token, end string) string {
	switch op {
	case "sts:AssumeRole":
		return fmt.Sprintf(`<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`, id, secret, token, end)
	case "sso:GetRoleCredentials":
		at, err := time.Parse(time.RFC3339, end)
		ms := fmt.Sprint(at.UnixMilli())
		if err != nil {
			ms = fmt.Sprintf("%q", end)
		}
		return fmt.Sprintf(`{"roleCredentials":{"accessKeyId":%q,"secretAccessKey":%q,"sessionToken":%q,"expiration":%s}}`, id, secret, token, ms)
	}
	return fmt.Sprintf(`{"AccessKeyId":%q,"SecretAccessKey":%q,"Token":%q,"Expiration":%q}`, id, secret, token, end)
}

// mutant is a good answer with a few bytes changed, taken out or put in twice.
func mutant(op string, seed int) []byte {
	r := rand.New(rand.NewPCG(uint64(seed), 12))
	b := []byte(answer(op, fmt.Sprintf("ASIAMUTANT%06d", seed), "secret", "token", inAnHour()))
	for range 1 + r.IntN(4) {
		if len(b) == 0 {
			break
		}
		i := r.IntN(len(b))
		switch r.IntN(4) {
		case 0:
			b[i] = byte(r.IntN(256))
		case 1:
			b = append(b[:i:i], b[min(len(b), i+1+r.IntN(20)):]...)
		case 2:
			b = append(b[:i:i], append([]byte(`"},<>&0`)[:1+r.IntN(6)], b[i:]...)...)
		default:
			b = b[:max(1, i)]
		}
	}
	return b
}

// huge is an upstream that answers with ten million bytes.
type huge struct {
	url   string
	kind  atomic.Value
	asked atomic.Int32 // requests that would take gzip
}

func (h *huge) set(kind string) { h.kind.Store(kind) }

func newHuge(t *testing.T) *huge {
	h := &huge{}
	h.set("small")
	const size = 10_000_000
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 3*size))
	_ = z.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.asked.Add(1)
		}
		switch h.kind.Load() {
		case "plain":
			w.Header().Set("Content-Length", fmt.Sprint(size))
			_, _ = w.Write(bytes.Repeat([]byte("a"), size))
		case "allowed":
			_, _ = w.Write(bytes.Repeat([]byte("a"), 64_000))
		case "chunked":
			for range 1000 {
				if _, err := w.Write(bytes.Repeat([]byte("a"), size/1000)); err != nil {
					return
				}
			}
		case "gzip":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		case "lies":
			w.Header().Set("Content-Length", fmt.Sprint(int64(1)<<50))
			_, _ = w.Write(bytes.Repeat([]byte("a"), size))
		default:
			_, _ = w.Write([]byte("no"))
		}
	}))
	t.Cleanup(s.Close)
	h.url = s.URL
	return h
}

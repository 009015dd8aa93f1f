package clients_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

// ssoClient speaks as the client commands of aws-sso do (ecs load, list,
// profile, unload): a content type on every request, an empty body on DELETE,
// "Bearer " before the authorization token, and only 200 is success.
type ssoClient struct {
	t     *testing.T
	url   string
	token string // "": it sends none
}

func (c ssoClient) do(method, path string, body any) (status int, answer []byte) {
	c.t.Helper()
	var b []byte
	if body != nil {
		var err error
		if b, err = json.Marshal(body); err != nil {
			c.t.Fatal(err)
		}
	}
	req, err := http.NewRequest(method, c.url+path, bytes.NewReader(b))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// must wants 200 and reads the answer into v, unless that is nil.
func (c ssoClient) must(method, path string, body, v any) {
	c.t.Helper()
	status, answer := c.do(method, path, body)
	if status != http.StatusOK {
		c.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal(answer, v); err != nil {
		c.t.Fatalf("%s %s: %v: %s", method, path, err, answer)
	}
}

func (c ssoClient) wantStatus(method, path string, want int) {
	c.t.Helper()
	if status, answer := c.do(method, path, nil); status != want {
		c.t.Errorf("%s %s: %d %s, want %d", method, path, status, answer, want)
	}
}

type ssoCreds struct {
	RoleName        string `json:"roleName"`
	AccountID       int64  `json:"accountId"`
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
	SessionToken    string `json:"sessionToken"`
	Expiration      int64  `json:"expiration"` // milliseconds
}

type ssoUpload struct {
	Creds       ssoCreds
	ProfileName string
}

type ssoProfile struct {
	ProfileName, AccountId, RoleName, Expires string
	Expiration                                int64 // seconds
}

func upload(profile string) ssoUpload {
	return ssoUpload{ssoCreds{"Admin", 12345678, "ASIAUPLOADED0000001", world.Canary + "secret", world.Canary + "token",
		time.Now().Add(90 * time.Minute).UnixMilli()}, profile}
}

func TestClientsOfAWSSSO(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"token", "none"} {
		t.Run(mode, func(t *testing.T) {
			w := serve(t, fakeaws.Config{}, "--auth", mode)
			c := ssoClient{t, w.URL, ""}
			if mode == "token" {
				c.wantStatus("GET", "/profile", http.StatusUnauthorized)
				c.token = w.token
			}
			c.uploadsDefault()
			c.uploadsSlots()
			if log := w.Log(); !strings.Contains(log, "auth") && mode == "none" {
				t.Errorf("nothing warns of --auth none:\n%s", log)
			}
		})
	}
}

func (c ssoClient) uploadsDefault() {
	t := c.t
	t.Helper()
	c.wantStatus("GET", "/profile", http.StatusNotFound)
	c.wantStatus("GET", "/", http.StatusNotFound)
	up := upload("123456789012:Admin")
	c.must("PUT", "/", up, nil)
	var p ssoProfile
	c.must("GET", "/profile", nil, &p)
	want := ssoProfile{up.ProfileName, "000012345678", "Admin", "1h 29m", up.Creds.Expiration / 1000}
	if p != want {
		t.Errorf("/profile is %+v, want %+v", p, want)
	}
	var creds map[string]string
	c.must("GET", "/", nil, &creds)
	for key, want := range map[string]string{
		"AccessKeyId": up.Creds.AccessKeyID, "SecretAccessKey": up.Creds.SecretAccessKey, "Token": up.Creds.SessionToken,
		"RoleArn": "arn:aws:iam::000012345678:role/Admin", "Expiration": time.Unix(want.Expiration, 0).UTC().Format("2006-01-02T15:04:05Z"),
	} {
		if creds[key] != want {
			t.Errorf("%s is %q, want %q", key, creds[key], want)
		}
	}
	var list []ssoProfile
	c.must("GET", "/slot", nil, &list)
	if len(list) != 0 {
		t.Errorf("/slot lists the default slot: %+v", list)
	}
	c.must("DELETE", "/", nil, nil)
	c.wantStatus("GET", "/profile", http.StatusNotFound)
	c.wantStatus("GET", "/", http.StatusNotFound)
	c.wantStatus("DELETE", "/", http.StatusNotFound)
}

func (c ssoClient) uploadsSlots() {
	t := c.t
	t.Helper()
	names := []string{"plain", "with space", "Org/Team:Admin", "ünïcode", "100%"}
	for _, name := range names {
		c.must("PUT", "/slot/"+url.PathEscape(name), upload(name), nil)
	}
	var list []ssoProfile
	c.must("GET", "/slot", nil, &list)
	listed := map[string]bool{}
	for _, p := range list {
		listed[p.ProfileName] = true
	}
	for _, name := range names {
		var creds map[string]string
		c.must("GET", "/slot/"+url.PathEscape(name), nil, &creds)
		if creds["AccessKeyId"] != "ASIAUPLOADED0000001" || !listed[name] {
			t.Errorf("slot %q: listed %v, %d values", name, listed[name], len(creds))
		}
	}
	if len(list) != len(names) {
		t.Errorf("%d slots are listed, %d were uploaded", len(list), len(names))
	}
	// What aws-sso documents and its server gets wrong.
	c.must("PUT", "/slot/of-the-url", upload("of-the-body"), nil)
	c.must("GET", "/slot/of-the-url", nil, nil)
	c.wantStatus("GET", "/slot/of-the-body", http.StatusNotFound)
	documented := upload("documented").Creds
	c.must("PUT", "/slot/documented", map[string]any{"ProfileName": "documented", "Creds": map[string]string{
		"roleName": documented.RoleName, "accountId": fmt.Sprint(documented.AccountID), "accessKeyId": documented.AccessKeyID,
		"secretAccessKey": documented.SecretAccessKey, "sessionToken": documented.SessionToken, "expiration": fmt.Sprint(documented.Expiration),
	}}, nil)

	c.must("DELETE", "/slot/"+url.PathEscape(names[2]), nil, nil)
	c.wantStatus("GET", "/slot/"+url.PathEscape(names[2]), http.StatusNotFound)
	c.wantStatus("DELETE", "/slot/"+url.PathEscape(names[2]), http.StatusNotFound)
	c.must("DELETE", "/slot", nil, nil)
	c.must("GET", "/slot", nil, &list)
	if len(list) != 0 {
		t.Errorf("after DELETE /slot: %+v", list)
	}
}

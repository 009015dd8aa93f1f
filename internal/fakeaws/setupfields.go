package fakeaws

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// flat is the call's parameters, without those that every call has.
func (c *setupCall) flat() map[string]string {
	out := map[string]string{}
	if c.input != nil {
		flatten(out, "", c.input)
		return out
	}
	for key, v := range c.form {
		if key != "Action" && key != "Version" && len(v) > 0 {
			out[key] = v[0]
		}
	}
	return out
}

func flatten(out map[string]string, prefix string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, one := range v {
			flatten(out, prefix+"."+key, one)
		}
	case []any:
		for i, one := range v {
			flatten(out, prefix+"."+strconv.Itoa(i+1), one)
		}
	default:
		out[strings.TrimPrefix(prefix, ".")] = fmt.Sprint(v)
	}
}

// list reads PREFIX.1, PREFIX.2, … of a query.
func (c *setupCall) list(prefix string) (all []string) {
	for i := 1; ; i++ {
		v, ok := c.form[prefix+"."+strconv.Itoa(i)]
		if !ok {
			return all
		}
		all = append(all, v[0])
	}
}

// text reads a field of JSON.
func (c *setupCall) text(key string) string {
	t, _ := c.input[key].(string)
	return t
}

func (c *setupCall) texts(key string) (all []string) {
	list, _ := c.input[key].([]any)
	for _, one := range list {
		if t, ok := one.(string); ok {
			all = append(all, t)
		}
	}
	return all
}

// page cuts a sorted list: what follows token, at most Config.PageSize; next is
// "" on the last page.
func (c *setupCall) page(keys []string, token string) (page []string, next string) {
	i := 0
	if token != "" {
		i, _ = slices.BinarySearch(keys, token)
	}
	keys = keys[i:]
	if n := c.s.cfg.PageSize; n > 0 && len(keys) > n {
		return keys[:n], keys[n]
	}
	return keys, ""
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// signingRegion is the region in the scope of the signature.
func signingRegion(r *http.Request) string {
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	scope, _, _ = strings.Cut(scope, ",")
	if parts := strings.Split(scope, "/"); len(parts) == 5 {
		return parts[2]
	}
	return ""
}

func (c *setupCall) partition() string { return c.s.partition() }

// partition is that of Config.Region.
func (s *Server) partition() string {
	switch {
	case strings.HasPrefix(s.cfg.Region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(s.cfg.Region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

func (c *setupCall) arn(service, resource string) string {
	region := c.region
	if service == "iam" {
		region = ""
	}
	return "arn:" + c.partition() + ":" + service + ":" + region + ":" + c.st.account + ":" + resource
}

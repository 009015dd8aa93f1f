package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"rolecall/internal/privatefile"
)

// SettingError says what is wrong with the settings of a store. It holds
// nothing of an URL that may be secret.
type SettingError struct {
	Msg string
	Fix string
}

func (e *SettingError) Error() string { return e.Msg }

// Hint says what to do.
func (e *SettingError) Hint() string { return e.Fix }

const redisKinds = "use redis://HOST:PORT, rediss://HOST:PORT (TLS), redis-sentinel://HOST,HOST/MASTER or redis-cluster://HOST,HOST"

// redisOptions are the connection settings of c, of which the timeouts are
// still missing.
func redisOptions(c RedisConfig) (*redis.UniversalOptions, error) {
	o, secure, err := parseRedisURL(c.URL)
	if err != nil {
		return nil, err
	}
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if secure {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		if c.CAFile != "" {
			pem, err := privatefile.ReadTrusted(c.CAFile, 0)
			if err != nil {
				return nil, settingFault("the CA file of the shared store", err)
			}
			o.TLSConfig.RootCAs = x509.NewCertPool()
			if !o.TLSConfig.RootCAs.AppendCertsFromPEM(pem) {
				return nil, &SettingError{"the CA file of the shared store holds no certificate", "give it PEM text: -----BEGIN CERTIFICATE-----"}
			}
		}
	} else if c.CAFile != "" {
		return nil, &SettingError{"the shared store has a CA file, but its URL is without TLS", "write rediss in place of redis in the URL"}
	}
	if c.PasswordFile != "" {
		user := o.Username
		if _, err := password(c.PasswordFile); err != nil {
			return nil, err
		}
		o.CredentialsProviderContext = func(context.Context) (string, string, error) {
			p, err := password(c.PasswordFile)
			return user, p, err
		}
	}
	if c.SentinelPasswordFile != "" {
		if o.SentinelPassword, err = password(c.SentinelPasswordFile); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// parseRedisURL reads
//
//	redis://[USER@]HOST[:6379][/DATABASE]
//	redis-sentinel://[USER@]HOST[:26379],HOST…/MASTER[/DATABASE]
//	redis-cluster://[USER@]HOST[:6379],HOST…
//
// each also with rediss (TLS), valkey and valkeys.
func parseRedisURL(text string) (o *redis.UniversalOptions, secure bool, err error) {
	fault := func(msg, fix string) (*redis.UniversalOptions, bool, error) {
		return nil, false, &SettingError{"the URL of the shared store " + msg, fix}
	}
	scheme, rest, ok := strings.Cut(text, "://")
	family, kind, _ := strings.Cut(strings.ToLower(scheme), "-")
	switch family {
	case "rediss", "valkeys":
		secure = true
	case "redis", "valkey":
	default:
		ok = false
	}
	if !ok {
		return fault("has an unknown scheme", redisKinds)
	}
	if strings.ContainsAny(rest, "?#") {
		return fault("has parameters, and none are known", redisKinds)
	}
	hosts, path, _ := strings.Cut(rest, "/")
	o = &redis.UniversalOptions{}
	if at := strings.LastIndexByte(hosts, '@'); at >= 0 {
		user := hosts[:at]
		hosts = hosts[at+1:]
		if strings.Contains(user, ":") {
			return fault("holds a password, which others could read in configuration and logs",
				"write the password into a file with mode 0600, and name that file as the store's password file")
		}
		if o.Username, err = url.PathUnescape(user); err != nil {
			return fault("has a faulty user name", "escape other characters than letters and digits by % and two hexadecimal digits")
		}
	}
	port := "6379"
	if kind == "sentinel" {
		port = "26379"
	}
	for host := range strings.SplitSeq(hosts, ",") {
		addr, ok := hostPort(host, port)
		if !ok {
			return fault("has a faulty host or port", redisKinds)
		}
		o.Addrs = append(o.Addrs, addr)
	}
	database := path
	switch kind {
	case "":
		if len(o.Addrs) > 1 {
			return fault("names several hosts", "use redis-sentinel:// or redis-cluster:// for several")
		}
	case "sentinel":
		if o.MasterName, database, _ = strings.Cut(path, "/"); o.MasterName == "" {
			return fault("names no master", redisKinds)
		}
	case "cluster":
		o.IsClusterMode = true
		if database != "" {
			return fault("has a path, but a cluster has one database only", redisKinds)
		}
	default:
		return fault("has an unknown scheme", redisKinds)
	}
	if database != "" {
		if o.DB, err = strconv.Atoi(database); err != nil || o.DB < 0 {
			return fault("has a database that is no number", "end it with /0, or with nothing")
		}
	}
	return o, secure, nil
}

// hostPort completes a host, a host:port or an [IPv6]:port.
func hostPort(text, port string) (string, bool) {
	host := text
	if h, p, err := net.SplitHostPort(text); err == nil {
		host, port = h, p
	} else if h, ok := strings.CutPrefix(text, "["); ok {
		host = strings.TrimSuffix(h, "]")
	} else if strings.Contains(text, ":") {
		return "", false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || host == "" || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`@/\[]"%`, r) }) {
		return "", false
	}
	return net.JoinHostPort(host, port), true
}

func allLoopback(addrs []string) bool {
	for _, a := range addrs {
		host, _, _ := net.SplitHostPort(a)
		if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}

// password is the first line of a private file.
func password(path string) (string, error) {
	text, err := privatefile.ReadSecret(path, 0)
	if err != nil {
		return "", settingFault("the password file of the shared store", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", &SettingError{"the password file of the shared store is empty", "write the password into it, on one line"}
	}
	return line, nil
}

func settingFault(what string, err error) error {
	var unsafe *privatefile.UnsafeError
	if errors.As(err, &unsafe) {
		return &SettingError{what + ": " + unsafe.Error(), unsafe.Hint()}
	}
	return &SettingError{what + " cannot be read: " + err.Error(), "check its name and its rights"}
}

// redisTrouble says what went wrong, in words that hold nothing of the server's
// text but its kind of error.
func redisTrouble(err error) string {
	var (
		reply    redis.Error
		timeout  net.Error
		cert     *tls.CertificateVerificationError
		settings *SettingError
	)
	switch {
	case errors.As(err, &settings):
		return "cannot be used: " + settings.Error()
	case errors.As(err, &cert):
		return "has a certificate that cannot be verified"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "does not answer in time"
	case errors.Is(err, io.EOF), errors.As(err, &timeout):
		return "cannot be reached"
	case errors.As(err, &reply):
		kind, _, _ := strings.Cut(reply.Error(), " ")
		switch {
		case kind == "WRONGPASS" || kind == "NOAUTH":
			return "refuses the user or password (" + kind + ")"
		case kind != "" && len(kind) < 16 && strings.Trim(kind, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "":
			return "refuses (" + kind + ")"
		}
	}
	return "failed"
}

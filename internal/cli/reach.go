package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"rolecall/internal/control"
	"rolecall/internal/creds"
)

// serverFlags adds --server and --token-file to commands that can speak to a
// daemon elsewhere.
func (a *app) serverFlags(c *cobra.Command) {
	c.Flags().StringVar(&a.server, "server", a.getenv("ROLECALL_SERVER"),
		"ask the server at this `URL` and not the daemon of this user (env ROLECALL_SERVER)")
	c.Flags().StringVar(&a.tokenFile, "token-file", "",
		"`FILE` with the authorization token for --server (env ROLECALL_AUTHORIZATION_TOKEN_FILE)")
	c.Flags().Lookup("server").DefValue = ""
}

// daemon is the client of this user's daemon.
func (a *app) daemon() (*control.Client, error) {
	d, err := a.dirs()
	if err != nil {
		return nil, err
	}
	return control.NewClient(d.Socket), nil
}

// ownDaemon is daemon for commands that a server elsewhere does not know.
func (a *app) ownDaemon(command string) (*control.Client, error) {
	if a.getenv("ROLECALL_SERVER") != "" {
		return nil, failed(command+" is for the daemon of this user on this machine, and ROLECALL_SERVER names another server",
			"unset ROLECALL_SERVER, or type it on the server's machine")
	}
	return a.daemon()
}

// remote is the client of --server.
func (a *app) remote() (*control.Remote, error) {
	file := a.remoteTokenFile()
	token, err := readToken(file)
	if err != nil {
		return nil, err
	}
	r, err := control.NewRemote(a.server, token)
	if err != nil {
		return nil, wrongUsage("--server: "+err.Error(), "rolecall status --server http://127.0.0.1:4144")
	}
	return r, nil
}

func (a *app) remoteTokenFile() string {
	for _, file := range []string{a.tokenFile, a.getenv("ROLECALL_AUTHORIZATION_TOKEN_FILE"), a.getenv(varTokenFile)} {
		if file != "" {
			return file
		}
	}
	return ""
}

// readToken reads an authorization token; "" is no token.
func readToken(file string) (creds.Secret, error) {
	if file == "" {
		return creds.Secret{}, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return creds.Secret{}, tokenError(file, err)
	}
	defer func() { _ = f.Close() }() // only read
	const most = 16 << 10
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return creds.Secret{}, tokenError(file, err)
	}
	token := strings.TrimRight(string(b), "\r\n")
	if token == "" || len(b) > most || strings.ContainsFunc(token, func(r rune) bool { return r < ' ' || r > '~' }) {
		return creds.Secret{}, failed("the file "+file+" does not hold an authorization token", "copy the file that `rolecall status` names on the server's machine")
	}
	return creds.NewSecret(token), nil
}

func tokenError(file string, err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return &failure{code: exitFailed, msg: fmt.Sprintf("the authorization token in %s cannot be read: %v", file, err),
		hint: "name the right file with --token-file", err: err}
}

// baseURL chooses the listener that a program on this machine reaches with
// every SDK: plain HTTP is allowed for 127.0.0.1 by all of them. The URL has no
// slash at its end.
func baseURL(listeners []control.Listener) (string, error) {
	best, rank := "", 5
	for _, l := range listeners {
		u, err := url.Parse(l.URL)
		if err != nil || l.Endpoint != "ecs" {
			continue
		}
		r := 2 // names and addresses of other networks
		if addr, err := netip.ParseAddr(u.Hostname()); err == nil {
			switch {
			case addr.IsUnspecified() && u.Scheme == "https":
				u.Host = "localhost:" + u.Port()
				r = 1
			case addr.IsUnspecified():
				u.Host = "127.0.0.1:" + u.Port()
				r = 1
			case addr.IsLoopback() && addr.Is4():
				r = 0
			case addr.IsLoopback():
				r = 1
			}
		}
		if r < rank {
			best, rank = strings.TrimSuffix(u.String(), "/"), r
		}
	}
	if best == "" {
		return "", failed("the daemon does not listen for programs", "set listen in its configuration: "+configSample)
	}
	return best, nil
}

// handoutOf is how a program reaches a slot of this user's daemon, or one of
// its sources.
func (a *app) handoutOf(st control.Status, slot, source string) (handout, error) {
	base, err := baseURL(st.Listeners)
	if err != nil {
		return handout{}, err
	}
	h := handout{URL: base + pathOf(slot, a.sourceText(source))}
	if st.Auth != "none" {
		h.TokenFile = st.TokenFile
	}
	if s := findSlot(st.Slots, slot); s != nil && source == "" {
		h.Region = s.Region
	}
	if source != "" {
		// The daemon resolves it with its own settings; its region is mostly that of ours.
		if s, err := a.resolver().Resolve(source); err == nil {
			h.Region = s.Region
		}
	}
	return h, nil
}

// remoteHandout is the same for --server.
func (a *app) remoteHandout(slot, source string) (handout, error) {
	r, err := a.remote()
	if err != nil {
		return handout{}, err
	}
	file := a.remoteTokenFile()
	if file != "" { // programs run elsewhere
		if file, err = filepath.Abs(file); err != nil {
			return handout{}, err
		}
	}
	return handout{URL: r.URL() + pathOf(slot, source), TokenFile: file}, nil
}

func findSlot(slots []control.Slot, name string) *control.Slot {
	for i := range slots {
		if slots[i].Name == name && !slots[i].ByURL {
			return &slots[i]
		}
	}
	return nil
}

// status asks this user's daemon.
func (a *app) status(ctx context.Context) (control.Status, error) {
	d, err := a.daemon()
	if err != nil {
		return control.Status{}, err
	}
	return d.Status(ctx)
}

package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rolecall/internal/config"
	"rolecall/internal/shellword"
)

// serveFlags are the settings that flags can make.
type serveFlags struct {
	changed func(flag string) bool

	listen   []string
	port     int
	load     string
	slots    []string
	auth     string
	cert     string
	key      string
	config   string
	metrics  bool
	notify   bool
	before   time.Duration
	logLevel string
	logForm  string

	imds      []string
	imdsV1    bool
	hopLimit  int
	linkLocal bool

	// what they say, once checked
	addrs     []config.ListenAddr
	imdsAddrs []config.ListenAddr
	named     []config.Slot
	level     slog.Level
}

func (f *serveFlags) add(a *app, c *cobra.Command) {
	s := c.Flags()
	s.StringArrayVar(&f.listen, "listen", nil, "listen at this `ADDRESS:PORT`, may be repeated (default "+config.DefaultListen+"; env ROLECALL_LISTEN)")
	s.IntVar(&f.port, "port", 0, "short for --listen 127.0.0.1:`N`")
	s.StringVar(&f.load, "load", "", "fill the default slot from this `SOURCE`")
	a.complete(c, "load", a.completeSources)
	s.StringArrayVar(&f.slots, "slot", nil, "fill a named slot: `NAME=SOURCE`, may be repeated")
	s.StringVar(&f.auth, "auth", "", "`WHO` needs the authorization token: auto (all but your own programs on this machine), token (all), none")
	a.completeWords(c, "auth", "auto", "token", "none")
	s.StringVar(&f.cert, "tls-cert", "", "serve HTTPS with the certificate in this PEM `FILE`")
	s.StringVar(&f.key, "tls-key", "", "its private key, a PEM `FILE`")
	s.StringVar(&f.config, "config", "", "read this configuration `FILE` (env ROLECALL_CONFIG)")
	s.BoolVar(&f.metrics, "metrics", false, "serve /metrics at the listeners too, and not only on the control socket")
	s.BoolVar(&f.notify, "notify", false, "show a notice on the desktop when a sign-in is needed")
	s.DurationVar(&f.before, "notify-before", 0, "say so, on the desktop and in the log, this `TIME` before a sign-in ends, e.g. 10m; implies --notify")
	f.addIMDS(s)
	s.StringVar(&f.logLevel, "log-level", "", "log records from this `LEVEL` on: debug, info, warn or error")
	a.completeWords(c, "log-level", "debug", "info", "warn", "error")
	s.StringVar(&f.logForm, "log-format", "", "`FORMAT` of the log: text, json, or auto (text on a terminal)")
	a.completeWords(c, "log-format", "auto", "text", "json")
}

// check reads the flags. Its errors are wrong usage.
func (f *serveFlags) check() error {
	const help = "rolecall serve --help"
	if f.changed("port") {
		if f.changed("listen") {
			return wrongUsage("--listen and --port cannot be used together", "rolecall serve --listen 127.0.0.1:"+strconv.Itoa(f.port))
		}
		if f.port < 0 || f.port > 65535 {
			return wrongUsage(fmt.Sprintf("--port %d is not a port from 0 to 65535", f.port), help)
		}
		f.listen = []string{net.JoinHostPort("127.0.0.1", strconv.Itoa(f.port))}
	}
	for _, text := range f.listen {
		addr, err := config.ParseListen(text)
		if err != nil {
			return wrongUsage("--listen: "+err.Error(), "rolecall serve --listen "+config.DefaultListen)
		}
		f.addrs = append(f.addrs, addr)
	}
	if f.changed("load") {
		if err := config.CheckSource(f.load); err != nil {
			return wrongUsage("--load: "+err.Error(), "rolecall serve --load PROFILE")
		}
	}
	if err := f.checkIMDS(); err != nil {
		return err
	}
	for _, text := range f.slots {
		name, source, ok := strings.Cut(text, "=")
		if !ok {
			return wrongUsage(fmt.Sprintf("--slot %q is not NAME=SOURCE", text), "rolecall serve --slot "+shellword.Word(text)+"=profile:"+shellword.Word(text))
		}
		if err := errors.Join(config.CheckSlotName(name), config.CheckSource(source)); err != nil {
			return wrongUsage(fmt.Sprintf("--slot %q: %v", text, err), "rolecall serve --slot NAME=SOURCE")
		}
		if slices.ContainsFunc(f.named, func(s config.Slot) bool { return s.Name == name }) {
			return wrongUsage(fmt.Sprintf("--slot names the slot %q twice", name), help)
		}
		f.named = append(f.named, config.Slot{Name: name, Source: source})
	}
	return f.checkWords()
}

func (f *serveFlags) checkWords() error {
	for _, w := range []struct {
		flag, given string
		words       []string
	}{
		{"auth", f.auth, []string{"auto", "token", "none"}},
		{"log-format", f.logForm, []string{"auto", "text", "json"}},
		{"log-level", f.logLevel, []string{"debug", "info", "warn", "error"}},
	} {
		if f.changed(w.flag) && !slices.Contains(w.words, w.given) {
			return wrongUsage(fmt.Sprintf("--%s %q is none of %s", w.flag, w.given, strings.Join(w.words, ", ")), "rolecall serve --help")
		}
	}
	if f.logLevel != "" {
		if err := f.level.UnmarshalText([]byte(f.logLevel)); err != nil {
			return err
		}
	}
	if (f.cert == "") != (f.key == "") {
		return wrongUsage("--tls-cert and --tls-key belong together", "rolecall serve --tls-cert FILE --tls-key FILE")
	}
	return nil
}

// strict are the slots that flags fill.
func (f *serveFlags) strict() []string {
	var names []string
	if f.load != "" {
		names = append(names, "")
	}
	for _, s := range f.named {
		names = append(names, s.Name)
	}
	return names
}

// settings are flags over environment over file.
func (a *app) settings(dirs config.Dirs, f serveFlags) (config.Config, error) {
	c, err := a.readConfig(dirs, f.config)
	if err != nil {
		return c, err
	}
	if text := a.getenv("ROLECALL_LISTEN"); text != "" && len(f.addrs) == 0 {
		c.Listen = nil
		for _, one := range strings.Split(text, ",") {
			addr, err := config.ParseListen(strings.TrimSpace(one))
			if err != nil {
				return c, wrongUsage("ROLECALL_LISTEN: "+err.Error(), "export ROLECALL_LISTEN="+config.DefaultListen)
			}
			c.Listen = append(c.Listen, addr)
		}
	}
	if len(f.addrs) > 0 {
		c.Listen = f.addrs
	}
	if f.load != "" {
		c.Load = f.load
	}
	for _, s := range f.named {
		c.Slots = slices.DeleteFunc(slices.Clone(c.Slots), func(o config.Slot) bool { return o.Name == s.Name })
		c.Slots = append(c.Slots, s)
	}
	if f.auth != "" {
		c.Auth.Mode = config.AuthMode(f.auth)
	}
	if f.cert != "" {
		if c.TLS.Cert, err = filepath.Abs(f.cert); err != nil {
			return c, err
		}
		if c.TLS.Key, err = filepath.Abs(f.key); err != nil {
			return c, err
		}
	}
	c.Metrics = c.Metrics || f.metrics
	c.Notify = c.Notify || f.notify
	if f.before != 0 {
		c.NotifyBefore = f.before
	}
	f.setIMDS(&c)
	if f.logLevel != "" {
		c.Log.Level = f.level
	}
	if f.logForm != "" {
		c.Log.Format = config.LogFormat(f.logForm)
	}
	if err := c.Check(); err != nil { // the file alone was checked when it was read
		return c, wrongUsage(err.Error(), "rolecall serve --help")
	}
	return c, nil
}

// readConfig reads the configuration file that was asked for, else the one at
// its usual place, if it is there.
func (a *app) readConfig(dirs config.Dirs, file string) (config.Config, error) {
	if file == "" {
		file = a.getenv("ROLECALL_CONFIG")
	}
	if file == "" {
		return config.LoadIfPresent(dirs.Config)
	}
	abs, err := filepath.Abs(file) // the daemon shows it, whatever its directory
	if err != nil {
		return config.Config{}, err
	}
	return config.Load(abs)
}

package daemon

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"rolecall/internal/config"
	"rolecall/internal/usererr"
)

const certificateCheck = time.Second

// pair is a certificate that is read again when its files change. A bad new
// pair leaves the old one in force.
type pair struct {
	files config.TLS
	log   *slog.Logger
	now   atomic.Pointer[tls.Certificate]

	mu      sync.Mutex // held by the one handshake that looks at the files; others go on with what is there
	checked time.Time
	stamp   [2]time.Time
}

func loadPair(files config.TLS, log *slog.Logger) (*pair, error) {
	p := &pair{files: files, log: log}
	p.stamp = p.stamps()
	c, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		hint := "--tls-cert and --tls-key are PEM files that belong together"
		if errors.Is(err, fs.ErrNotExist) {
			hint = "check the path, which is relative to the working directory, or in config.toml to that file"
		}
		return nil, &usererr.Error{Code: usererr.NotConfigured, Msg: "the TLS certificate cannot be used: " + err.Error(), Hint: hint}
	}
	p.now.Store(&c)
	return p, nil
}

func (p *pair) stamps() (s [2]time.Time) {
	for i, f := range [...]string{p.files.Cert, p.files.Key} {
		if info, err := os.Stat(f); err == nil {
			s[i] = info.ModTime()
		}
	}
	return s
}

func (p *pair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if p.mu.TryLock() {
		defer p.mu.Unlock()
		if time.Since(p.checked) > certificateCheck {
			p.checked = time.Now()
			p.renew()
		}
	}
	return p.now.Load(), nil
}

func (p *pair) renew() {
	s := p.stamps()
	if s == p.stamp {
		return
	}
	c, err := tls.LoadX509KeyPair(p.files.Cert, p.files.Key)
	if err != nil { // perhaps only one of the two is written yet; look again
		p.log.Warn("the changed TLS certificate cannot be used; the old one stays", "error", err.Error())
		return
	}
	p.stamp = s
	p.now.Store(&c)
	p.log.Info("TLS certificate renewed", "cert", p.files.Cert)
}

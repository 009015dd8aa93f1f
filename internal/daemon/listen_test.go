package daemon

import (
	"net"
	"strings"
	"testing"

	"rolecall/internal/config"
)

// at is a listener that is said to be at an address.
type at struct {
	net.Listener
	addr string
}

func (a at) Addr() net.Addr {
	tcp, _ := net.ResolveTCPAddr("tcp", a.addr)
	return tcp
}

// A reload leaves alone what is not of the settings: systemd's sockets stand in
// place of all that the settings name, wherever they are bound, and AWS's own
// addresses beside it.
func TestRebindKeepsWhatIsNotOfTheSettings(t *testing.T) {
	for _, c := range []struct {
		name string
		from origin
		addr string
		want string // how the changes begin; "": none
	}{
		{"systemd's", fromSystemd, "127.0.0.1:4144", ""},
		{"systemd's at an address of the link", fromSystemd, "169.254.1.1:51679", ""},
		{"AWS's own", fromLinkLocal, "169.254.1.1:80", "listening on 127.0.0.1:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			settings := config.Default()
			settings.Listen = []config.ListenAddr{loopback(t)}
			settings.TLS = config.TLS{Cert: "of the next start", Key: "too"}
			d := &daemon{}
			d.bind(binding{endpoint: ecsEndpoint, from: c.from, ln: at{addr: c.addr}})
			t.Cleanup(func() {
				for _, b := range d.listeners()[1:] {
					b.retire()
				}
			})
			changes, err := d.rebind(settings)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(changes, ", "); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
				t.Errorf("changes: %q", got)
			}
			for i, b := range d.listeners() {
				if i == 0 && b.from != c.from || !strings.HasPrefix(b.url, "http://") {
					t.Errorf("listener %d: %+v", i, b)
				}
			}
		})
	}
}

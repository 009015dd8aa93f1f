package endpoint

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// AuthMode says who may have credentials.
type AuthMode string

const (
	AuthAuto  AuthMode = "auto"  // a loopback client of an allowed uid, or whoever has the authorization token
	AuthToken AuthMode = "token" // whoever has the authorization token
	AuthNone  AuthMode = "none"  // whoever can connect; only for loopback listeners
)

// Access is what Guard compares requests with. It is replaced as a whole on a
// reload.
type Access struct {
	Mode   AuthMode
	Tokens []string // accepted authorization tokens, at least 16 bytes each
	UIDs   []uint32 // users let in by AuthAuto
	Hosts  []string // values allowed in Host beyond the listener's own; one without a port stands for the listener's too
}

// Guard decides whether a request may have an answer. It holds for every
// request: no header that a browser or a proxy adds, an exact Host, and then
// authority by uid or authorization token.
type Guard struct {
	access  atomic.Pointer[access]
	refused failures
}

type access struct {
	Access
	hashes [][sha256.Size]byte
	extra  map[string]bool
}

// NewGuard returns a guard with the given access.
func NewGuard(a Access) *Guard {
	g := &Guard{}
	g.Set(a)
	return g
}

// Set replaces what the guard compares with. Requests see the old or the new.
func (g *Guard) Set(a Access) {
	n := &access{Access: a, extra: map[string]bool{}}
	for _, t := range a.Tokens {
		n.hashes = append(n.hashes, sha256.Sum256([]byte(t)))
	}
	for _, h := range a.Hosts {
		n.extra[h] = true
	}
	g.access.Store(n)
}

// foreignHeader names what browsers and proxies add and SDKs never send; "" for
// any other header. name is canonical. Sec-Fetch-Mode is let through: Node's
// fetch sends it.
func foreignHeader(name string) string {
	if name == "" {
		return ""
	}
	prefix := ""
	switch name[0] { // every request has a few names, and most end here
	case 'A':
		prefix = "Access-Control-"
	case 'P':
		prefix = "Proxy-"
	case 'S':
		if name == "Sec-Fetch-Mode" {
			return ""
		}
		prefix = "Sec-"
	case 'X':
		if name == "X-Real-Ip" {
			return name
		}
		prefix = "X-Forwarded-"
	case 'C', 'F', 'O', 'R', 'U', 'V':
		switch name {
		case "Cookie", "Forwarded", "Origin", "Referer", "Upgrade", "Upgrade-Insecure-Requests", "Via":
			return name
		}
		return ""
	default:
		return ""
	}
	if strings.HasPrefix(name, prefix) {
		return prefix + "*" // the rest is the client's
	}
	return ""
}

// foreign says why a request cannot come from an SDK on this host: a page in a
// browser, a proxy, a name that was pointed here. It costs no secret.
func (g *Guard) foreign(r *http.Request, c *Conn) *Refusal {
	for name := range r.Header {
		if h := foreignHeader(name); h != "" {
			return refuse(http.StatusForbidden, "foreign_header", "requests with the header "+h+" are refused: they come from a browser or through a proxy")
		}
	}
	if r.URL.Scheme != "" || r.URL.Host != "" {
		return refuse(http.StatusBadRequest, "absolute_uri", "the request line must hold a path and no full URL")
	}
	if !g.hostAllowed(r.Host, c) {
		return refuse(http.StatusForbidden, "foreign_host", "the Host header does not name this listener; ask for "+c.hosts.first)
	}
	if r.ContentLength != 0 && r.Method != http.MethodPut {
		// What two parsers may delimit differently is how requests are smuggled.
		refused := refuse(http.StatusBadRequest, "unexpected_body", "only uploads (PUT) have a body")
		refused.Close = true
		return refused
	}
	return nil
}

func (g *Guard) hostAllowed(host string, c *Conn) bool {
	if c.hosts.names[host] {
		return true
	}
	extra := g.access.Load().extra
	name, own := strings.CutSuffix(host, c.hosts.port)
	return extra[host] || own && extra[name] || c.hosts.any && host == c.localHost()
}

// authority says why a request that is not foreign may have no credentials.
// An authorization token that is presented must be right, whoever presents it.
func (g *Guard) authority(r *http.Request, c *Conn) *Refusal {
	a := g.access.Load()
	if given := authorization(r.Header); given != "" {
		if a.knows(given) {
			return nil
		}
		return g.refused.note(c.key(), refuse(http.StatusUnauthorized, "wrong_token", "the authorization token is wrong; `rolecall env` prints the file that holds it"))
	}
	if pageRenderer(r.Header) {
		return refuse(http.StatusForbidden, "foreign_header", "browsers and programs that render pages (a User-Agent that begins with Mozilla/) need the authorization token")
	}
	switch a.Mode {
	case AuthNone:
		return nil
	case AuthAuto:
		if c.sameHost() {
			if p := c.Peer(); slices.ContainsFunc(a.UIDs, p.Is) {
				return nil
			}
		}
	}
	return g.refused.note(c.key(), refuse(http.StatusUnauthorized, "no_token", "an authorization token is needed; `rolecall env` sets AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"))
}

// pageRenderer says whether a program fetches what pages tell it to: a browser
// too old to send Sec-Fetch-Site, or a converter of HTML to PDF. Its user may
// have credentials; the page may not.
func pageRenderer(h http.Header) bool {
	v := h["User-Agent"]
	return len(v) > 0 && strings.HasPrefix(v[0], "Mozilla/")
}

// authorization is the presented token: the whole header value, without the
// "Bearer " that clients of aws-sso put before it. SDKs send it empty when the
// token file is empty; that is none.
func authorization(h http.Header) string {
	v := h["Authorization"]
	if len(v) != 1 {
		return strings.Join(v, ",")
	}
	return strings.TrimPrefix(v[0], "Bearer ")
}

// knows compares in constant time: hashes of both sides, and every token.
func (a *access) knows(given string) bool {
	var buf [1024]byte // keeps the copy off the heap
	if len(given) > len(buf) {
		return false
	}
	h := sha256.Sum256(buf[:copy(buf[:], given)])
	found := 0
	for i := range a.hashes {
		found |= subtle.ConstantTimeCompare(h[:], a.hashes[i][:])
	}
	return found == 1
}

// hostNames are the values of Host that name one listener.
type hostNames struct {
	first string // shown in errors
	port  string // of the listener, with its colon
	names map[string]bool
	any   bool // bound to all addresses: the connection's own address counts too
}

// namesOf lists the exact spellings that name a listener at addr: its address,
// and localhost where that is loopback, each with the port and without (some
// SDKs send none). Any other spelling is another name.
func namesOf(addr net.Addr) hostNames {
	n := hostNames{first: addr.String(), names: map[string]bool{}}
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return n
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	n.port = ":" + strconv.Itoa(tcp.Port)
	add := func(host string) {
		n.names[host] = true
		n.names[host+n.port] = true
	}
	if ip.IsUnspecified() {
		n.any = true
		n.first = "this host by its address"
	} else {
		add(bracketed(ip))
	}
	if ip.IsLoopback() || ip.IsUnspecified() {
		add("localhost")
	}
	if ip.IsUnspecified() {
		add("127.0.0.1")
		add("[::1]")
	}
	return n
}

func bracketed(ip netip.Addr) string {
	if ip.Is6() {
		return "[" + ip.String() + "]"
	}
	return ip.String()
}

// key tells failing clients apart for the limit on guesses: by user where the
// kernel told, else by address.
func (c *Conn) key() failureKey {
	if p := c.Peer(); p.Known {
		return failureKey{uid: p.UID, known: true}
	}
	return failureKey{addr: c.remote.Addr()}
}

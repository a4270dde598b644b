package daemon

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// hosts are the names that a request may address us by. Loopback is within
// reach of every web page that a browser on this machine shows: a page whose
// name resolves to 127.0.0.1 gives itself away by its Host.
type hosts map[string]bool

// newHosts allows the loopback names and those given, on any port.
func newHosts(names []string) hosts {
	h := hosts{"localhost": true, "127.0.0.1": true, "::1": true}
	for _, n := range names {
		h[hostname(n)] = true
	}
	return h
}

// check refuses a Host that is none of ours. The address that the connection
// came in on is ours too: a name that was made to point at us cannot look like
// it, and a page at that address is our own or cross-origin.
func (h hosts) check(r *http.Request) *apiError {
	host := hostname(r.Host)
	if h[host] {
		return nil
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && sameAddress(host, local) {
		return nil
	}
	return errHostNotAllowed()
}

// hostname is the host of host[:port], without brackets, in lower case and
// without the dot that ends an absolute name.
func hostname(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

func sameAddress(host string, local net.Addr) bool {
	given, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	ours, err := netip.ParseAddrPort(local.String())
	return err == nil && given.Unmap() == ours.Addr().Unmap().WithZone("")
}

// sameOrigin refuses what a web page of another origin makes a browser send.
// http.CrossOriginProtection lets GET pass; here a GET may hand out a value, so
// every method is checked. Other clients send neither header.
func sameOrigin(r *http.Request) *apiError {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return nil
	case "":
	default:
		return errCrossOrigin()
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return nil
	}
	u, err := url.Parse(origin)
	if err != nil || !strings.EqualFold(u.Host, r.Host) {
		return errCrossOrigin()
	}
	return nil
}

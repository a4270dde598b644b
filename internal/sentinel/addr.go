package sentinel

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Addr is the address of a node or a sentinel as the set announces it. The zero
// value means "none". Every other value comes from [ParseAddr] or [SplitAddr]:
// its port is not 0 and its host is an IP address or a host name, in one
// spelling, so that addresses can be compared with ==.
type Addr struct {
	Host string
	Port uint16
}

// IsZero reports whether a names nobody.
func (a Addr) IsZero() bool { return a == Addr{} }

// String is the address as a dialler wants it, IPv6 in brackets.
func (a Addr) String() string {
	if a.IsZero() {
		return ""
	}
	return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port)))
}

// MarshalText lets an address be a JSON string and a log attribute.
func (a Addr) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// ParseAddr reads an address given as host and port, the way sentinels and
// nodes send it. It refuses what cannot be dialled: port 0 (a sentinel remembers
// dead peers that way), 0.0.0.0, "?" (a sentinel's word for an unknown master).
func ParseAddr(host, port string) (Addr, error) {
	h, err := parseHost(host)
	if err != nil {
		return Addr{}, err
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil || p == 0 || port[0] == '+' {
		return Addr{}, fmt.Errorf("port %s is not between 1 and 65535", quote(port))
	}
	return Addr{Host: h, Port: uint16(p)}, nil
}

// SplitAddr reads "host:port", with IPv6 in brackets.
func SplitAddr(s string) (Addr, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return Addr{}, fmt.Errorf("address %s is not host:port", quote(s))
	}
	return ParseAddr(host, port)
}

const maxHost = 253 // the longest name DNS has

func parseHost(h string) (string, error) {
	if h == "" {
		return "", errors.New("host is empty")
	}
	if len(h) > maxHost {
		return "", fmt.Errorf("host of %d characters", len(h))
	}
	if ip, err := netip.ParseAddr(h); err == nil {
		return canonicalIP(ip)
	}
	name := strings.TrimSuffix(strings.ToLower(h), ".")
	if !isHostname(name) {
		return "", fmt.Errorf("host %s is neither an IP address nor a host name", quote(h))
	}
	return name, nil
}

func canonicalIP(ip netip.Addr) (string, error) {
	ip = ip.Unmap()
	// netip takes anything after % for a zone, line breaks too.
	if z := ip.Zone(); z != "" && !isLabel(z) {
		return "", fmt.Errorf("zone %s of an IPv6 address", quote(z))
	}
	if ip.IsUnspecified() || ip.IsMulticast() {
		return "", fmt.Errorf("%s is no address of a server", ip)
	}
	return ip.String(), nil
}

// isHostname accepts letters, digits, - and _ in labels of 1 to 63 characters.
// A last label of digits only is no name but a broken IP address, which some
// resolvers would still make something of.
func isHostname(name string) bool {
	labels := strings.Split(name, ".")
	for _, l := range labels {
		if !isLabel(l) {
			return false
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

func isLabel(l string) bool {
	if l == "" || len(l) > 63 {
		return false
	}
	for _, c := range []byte(l) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// quote shows input in an error. Of a long one it tells the length only: in a piece of it
// nobody would find the secret that the piece may hold a part of.
func quote(s string) string {
	if len(s) > 40 {
		return fmt.Sprintf("(%d bytes)", len(s))
	}
	return strconv.Quote(s)
}

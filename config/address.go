package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const (
	maxSentinels = 64
	maxSeeds     = 64
	maxNodes     = 1000
	maxHosts     = 100
)

const (
	fixSentinel = "write host:port, an IPv6 address in brackets: [::1]:26379"
	fixNode     = "write host:port, an IPv6 address in brackets: [::1]:6379"
	fixHost     = "give a host name or an IP address, without a port"
)

// host reads REDIS_HOST: one name or address, IPv6 with or without brackets.
func host(v string) (string, []problem) {
	if strings.Contains(v, "://") {
		return "", wrong("", "is a URL", "put it into REDIS_URL, or give the host alone")
	}
	if strings.HasPrefix(v, "/") || strings.HasPrefix(v, "unix:") {
		return "", wrong(v, "is a unix socket, which is not supported", "give a host name or an IP address")
	}
	if h, ok := hostName(v); ok {
		return h, nil
	}
	if strings.ContainsFunc(v, separates) {
		return "", wrong(v, "is a list", "give one host; several belong into REDIS_SENTINELS or REDIS_CLUSTER_NODES")
	}
	if _, bad := endpoint(v, fixNode); bad == nil {
		return "", wrong(v, "holds a port too", "set REDIS_HOST to what is before the colon and REDIS_PORT to what is after it")
	}
	return "", wrong(v, "is not a host", fixHost)
}

// serverName reads a host where nothing else is likely.
func serverName(v string) (string, []problem) {
	if h, ok := hostName(v); ok {
		return h, nil
	}
	return "", wrong(v, "is not a host", fixHost)
}

// hostName checks a name or an address and takes brackets off.
func hostName(v string) (string, bool) {
	if inner, ok := strings.CutPrefix(v, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		return addr.String(), ok && err == nil && addr.Is6()
	}
	if addr, err := netip.ParseAddr(v); err == nil {
		return addr.String(), true
	}
	return v, dnsName(v)
}

// dnsName is what a resolver can be asked for. Names of digits and dots alone
// are addresses gone wrong.
func dnsName(v string) bool {
	if len(v) > 253 || strings.Trim(v, "0123456789.") == "" {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(v, "."), ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, c := range label {
			if !asciiAlnum(c) && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// endpoint reads host:port. fix says how to write one.
func endpoint(v, fix string) (string, []problem) {
	h, p, err := net.SplitHostPort(v)
	switch {
	case strings.Contains(v, "://"):
		return "", wrong("", "is a URL", fix)
	case err != nil && strings.Count(v, ":") > 1:
		return "", wrong(v, "is not host:port", fix)
	case err != nil:
		return "", wrong(v, "has no port", fix)
	case h == "":
		return "", wrong(v, "has no host", fix)
	}
	name, ok := hostName(h)
	if !ok {
		return "", wrong(v, "has a bad host", fix)
	}
	n, bad := port(p)
	if bad != nil {
		return "", wrong(v, "has a bad port", "give a port from 1 to 65535")
	}
	return joinPort(name, n), nil
}

func joinPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// endpoints reads a list of host:port, separated by commas or white space. One
// that is there twice is a fault: it would count twice in a majority.
func endpoints(most int, fix string) func(string) ([]string, []problem) {
	return func(v string) ([]string, []problem) {
		entries := strings.FieldsFunc(v, separates)
		if len(entries) == 0 || len(entries) > most {
			return nil, wrong("", fmt.Sprintf("lists %d addresses", len(entries)), fmt.Sprintf("give from 1 to %d", most))
		}
		var out []string
		var bad []problem
		seen := map[string]bool{}
		for _, entry := range entries {
			addr, p := endpoint(entry, fix)
			if p == nil && seen[strings.ToLower(addr)] {
				p = wrong(entry, "is there twice", "give each address once")
			}
			seen[strings.ToLower(addr)] = true
			out, bad = append(out, addr), append(bad, p...)
		}
		return out, bad
	}
}

func separates(c rune) bool { return c == ',' || unicode.IsSpace(c) }

// addressMap reads announced=dialable pairs, each host:port.
func addressMap(v string) (map[string]string, []problem) {
	out := map[string]string{}
	var bad []problem
	for pair := range strings.FieldsFuncSeq(v, func(c rune) bool { return c == ',' || c == '\n' }) {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		from, to, p := addressPair(pair)
		if _, twice := out[from]; p == nil && twice {
			p = wrong(pair, "maps an address that is mapped already", "give each announced address once")
		}
		if p == nil {
			out[from] = to
		}
		bad = append(bad, p...)
	}
	if len(bad) == 0 && (len(out) == 0 || len(out) > maxNodes) {
		bad = wrong("", fmt.Sprintf("maps %d addresses", len(out)), fmt.Sprintf("give from 1 to %d", maxNodes))
	}
	return out, bad
}

func addressPair(pair string) (from, to string, bad []problem) {
	announced, dialable, ok := strings.Cut(pair, "=")
	if !ok {
		return "", "", wrong(pair, "is not announced=dialable", "write redis-1:6379=127.0.0.1:6379")
	}
	from, bad = endpoint(strings.TrimSpace(announced), fixNode)
	to, more := endpoint(strings.TrimSpace(dialable), fixNode)
	return from, to, append(bad, more...)
}

// hosts reads names that a Host header may carry.
func hosts(v string) ([]string, []problem) {
	out := map[string]bool{}
	var bad []problem
	for entry := range strings.FieldsFuncSeq(v, separates) {
		h, ok := hostName(entry)
		if !ok {
			bad = append(bad, problem{entry, "is not a host", fixHost})
		}
		out[strings.ToLower(h)] = true
	}
	if len(bad) == 0 && (len(out) == 0 || len(out) > maxHosts) {
		bad = wrong("", fmt.Sprintf("lists %d hosts", len(out)), fmt.Sprintf("give from 1 to %d", maxHosts))
	}
	return slices.Sorted(maps.Keys(out)), bad
}

// listen reads where the binary listens. No host means every address; port 0
// lets the system choose one.
func listen(v string) (string, []problem) {
	const fix = "write 127.0.0.1:3000, or :3000 for every address of the machine"
	h, p, err := net.SplitHostPort(v)
	if err != nil {
		return "", wrong(v, "is not host:port", fix)
	}
	if h != "" {
		var ok bool
		if h, ok = hostName(h); !ok {
			return "", wrong(v, "has a bad host", fix)
		}
	}
	n, bad := whole(0, 65535)(p)
	if bad != nil {
		return "", wrong(v, "has a bad port", fix)
	}
	return joinPort(h, n), nil
}

// loopbackListen is listen for what only this machine may reach.
func loopbackListen(v string) (string, []problem) {
	at, bad := listen(v)
	if bad == nil && !loopback(at) {
		return "", wrong(v, "can be reached from other machines", "write 127.0.0.1:PORT or localhost:PORT")
	}
	return at, bad
}

// loopback says whether only this machine reaches a listener. Of names only
// localhost is taken at its word.
func loopback(listen string) bool {
	h, _, _ := net.SplitHostPort(listen)
	if strings.EqualFold(h, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(h)
	return err == nil && addr.Unmap().IsLoopback()
}

package sentinel

import (
	"net/netip"
	"strings"
	"testing"
)

func TestAddressesAreReadInOneSpelling(t *testing.T) {
	for _, c := range []struct{ host, port, want string }{
		{"10.0.0.1", "6379", "10.0.0.1:6379"},
		{"::1", "6379", "[::1]:6379"},
		{"2001:DB8:0:0::5", "26379", "[2001:db8::5]:26379"},
		{"::ffff:10.0.0.1", "6379", "10.0.0.1:6379"},
		{"fe80::1%eth0", "6379", "[fe80::1%eth0]:6379"},
		{"Redis-1.Example.COM.", "6379", "redis-1.example.com:6379"},
		{"redis_1", "65535", "redis_1:65535"},
	} {
		a, err := ParseAddr(c.host, c.port)
		if err != nil || a.String() != c.want {
			t.Errorf("ParseAddr(%q, %q) = %v, %v, want %s", c.host, c.port, a, err, c.want)
			continue
		}
		b, err := SplitAddr(a.String())
		if err != nil || b != a {
			t.Errorf("SplitAddr(%q) = %v, %v", a, b, err)
		}
	}
}

func TestAddressesThatCannotBeDialledAreRefused(t *testing.T) {
	for _, c := range [][2]string{
		{"", "6379"},
		{"?", "0"},
		{"10.0.0.1", "0"},
		{"10.0.0.1", ""},
		{"10.0.0.1", "+1"},
		{"10.0.0.1", "-1"},
		{"10.0.0.1", "65536"},
		{"10.0.0.1", "6379 "},
		{"0.0.0.0", "6379"},
		{"::", "6379"},
		{"::ffff:0.0.0.0", "6379"},
		{"224.0.0.1", "6379"},
		{"256.1.1.1", "6379"},
		{"1.2.3", "6379"},
		{"12345", "6379"},
		{"fe80::1%a b\r\n", "6379"},
		{"a b", "6379"},
		{"redis\r\nSET x y", "6379"},
		{"redis..example", "6379"},
		{"[::1]", "6379"},
		{"ré", "6379"},
		{strings.Repeat("a", 64), "6379"},
		{strings.Repeat("a.", 200) + "b", "6379"},
	} {
		if a, err := ParseAddr(c[0], c[1]); err == nil || !a.IsZero() {
			t.Errorf("ParseAddr(%q, %q) = %v, want an error", c[0], c[1], a)
		}
	}
	for _, s := range []string{"", "10.0.0.1", "::1:6379", "10.0.0.1:6379:1", ":6379"} {
		if a, err := SplitAddr(s); err == nil {
			t.Errorf("SplitAddr(%q) = %v, want an error", s, a)
		}
	}
}

// checkAddr: whatever was parsed is none, or can be dialled.
func checkAddr(t *testing.T, a Addr) {
	t.Helper()
	if a.IsZero() {
		return
	}
	if a.Port == 0 || a.Host == "" || strings.ContainsAny(a.Host, " \t\r\n\x00/@[]?#") || len(a.Host) > maxHost {
		t.Fatalf("address %#v", a)
	}
	if ip, err := netip.ParseAddr(a.Host); err == nil && (ip.IsUnspecified() || ip.IsMulticast()) {
		t.Fatalf("address %v", a)
	}
	if b, err := SplitAddr(a.String()); err != nil || b != a {
		t.Fatalf("%v is read back as %v, %v", a, b, err)
	}
}

func FuzzParseAddr(f *testing.F) {
	f.Add("10.0.0.1", "6379")
	f.Add("fe80::1%eth0", "26379")
	f.Add("Redis.example.", "1")
	f.Add("?", "0")
	f.Fuzz(func(t *testing.T, host, port string) {
		a, err := ParseAddr(host, port)
		if (err == nil) == a.IsZero() {
			t.Fatalf("ParseAddr(%q, %q) = %v, %v", host, port, a, err)
		}
		checkAddr(t, a)
		a, _ = SplitAddr(host + ":" + port)
		checkAddr(t, a)
	})
}

package watch

import (
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/sentinel"
)

func TestASentinelMustNameAMasterThatCanBeDialled(t *testing.T) {
	tests := []struct {
		name string
		in   any
		want string
	}{
		{"an address", []any{"10.0.0.1", "6379"}, "10.0.0.1:6379"},
		{"IPv6", []any{"::1", "6379"}, "[::1]:6379"},
		{"a host name", []any{"redis-1", "6379"}, "redis-1:6379"},
		{"port 0", []any{"10.0.0.1", "0"}, ""},
		{"no port", []any{"10.0.0.1"}, ""},
		{"an unknown master", []any{"?", "6379"}, ""},
		{"numbers", []any{int64(1), int64(6379)}, ""},
		{"nothing", nil, ""},
		{"a string", "10.0.0.1:6379", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := namedMaster(tt.in)
			if a.String() != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("namedMaster = %q, %v, want %q", a, err, tt.want)
			}
		})
	}
}

func TestFieldsAreReadFromListsAndMaps(t *testing.T) {
	for _, in := range []any{
		[]any{"name", "mymaster", "port", "6379", "odd"},
		map[string]any{"name": "mymaster", "port": "6379"},
	} {
		if f := pairs(in); f["name"] != "mymaster" || f["port"] != "6379" {
			t.Errorf("pairs(%v) = %v", in, f)
		}
	}
	for _, in := range []any{nil, "text", int64(3), []any{[]any{}, nil, int64(1)}} {
		if f := pairs(in); f["name"] != "" {
			t.Errorf("pairs(%v) = %v", in, f)
		}
	}
}

// reply makes some nested answer out of bytes, as a sentinel or a node might.
func reply(data string, depth int) any {
	if data == "" || depth > 3 {
		return nil
	}
	switch rest := data[1:]; data[0] % 5 {
	case 0:
		return int64(len(rest))
	case 1:
		m := map[string]any{}
		for word := range strings.FieldsSeq(rest) {
			m[word] = reply(word, depth+1)
		}
		return m
	case 2:
		var list []any
		for part := range strings.SplitSeq(rest, "|") {
			list = append(list, reply(part, depth+1))
		}
		return list
	case 3:
		var list []any
		for word := range strings.FieldsSeq(rest) {
			list = append(list, word)
		}
		return list
	default:
		return rest
	}
}

// FuzzReplies: whatever is answered, nothing panics and no address is made that
// cannot be dialled.
func FuzzReplies(f *testing.F) {
	f.Add("\x0310.0.0.1 6379")
	f.Add("\x03name mymaster ip 10.0.0.1 port 0 flags master config-epoch 1")
	f.Add("\x02\x03ip 10.0.0.1 port 6379|\x01a b|\x00|text")
	f.Add("\x04# Server\r\nrun_id:0123456789012345678901234567890123456789\r\n")
	f.Fuzz(func(t *testing.T, data string) {
		v := reply(data, 0)
		check := func(a sentinel.Addr) {
			if !a.IsZero() && (a.Port == 0 || a.Host == "") {
				t.Errorf("an address that cannot be dialled: %+v", a)
			}
		}
		a, _ := namedMaster(v)
		check(a)
		m, _ := sentinel.ParseMaster(pairs(v))
		check(m.Addr)
		replicas, _ := sentinel.ParseReplicas(listOfPairs(v))
		for _, r := range replicas {
			check(r.Addr)
		}
		peers, _ := sentinel.ParseSentinels(listOfPairs(v))
		for _, p := range peers {
			check(p.Addr)
		}
		words, _ := v.([]any)
		if role, err := sentinel.ParseRole(words); err == nil {
			check(role.Master)
		}
		if text, ok := v.(string); ok {
			runID(text)
		}
	})
}

func TestAPaceTakesEffectAtOnceWhenItBecomesQuicker(t *testing.T) {
	p := newInterval(time.Hour)
	done := make(chan error, 1)
	go func() { done <- p.wait(t.Context()) }()
	p.set(time.Millisecond)
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the worker still waits for the old interval")
	}
}

func TestAnnouncedAddressesAreMapped(t *testing.T) {
	c := Config{Map: map[string]string{"redis-1:6379": "127.0.0.1:16379"}}
	for in, want := range map[sentinel.Addr]string{
		{Host: "redis-1", Port: 6379}: "127.0.0.1:16379",
		{Host: "redis-2", Port: 6379}: "redis-2:6379",
	} {
		if got := c.dialable(in); got != want {
			t.Errorf("dialable(%v) = %s, want %s", in, got, want)
		}
	}
}

func TestOfALongListAFewEntriesAreRead(t *testing.T) {
	for _, n := range []int{0, sentinel.MaxListed, sentinel.MaxListed + 1, 5000} {
		if got := listOfPairs(make([]any, n)); len(got) != min(n, sentinel.MaxListed) {
			t.Errorf("of %d: %d read", n, len(got))
		}
	}
}

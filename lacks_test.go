package evercache

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/shard"
)

// lacking are the commands that a server may be without, and what does not hold then.
var lacking = []struct {
	command    string
	incoherent bool // no feed
	untold     bool // nothing is lost
}{
	{command: "TIME"},
	{command: "WAIT"},
	{command: "INFO"},
	{command: "ROLE"},
	{command: "SCAN"},
	{command: "UNLINK"},
	{command: "EVAL"},
	{command: "EVALSHA"},
	{command: "CLIENT", incoherent: true},
	{command: "HELLO", incoherent: true},
	{command: "PTTL"},
	{command: "PEXPIRE"},
	{command: "PEXPIREAT"},
	{command: "PEXPIRETIME", untold: true},
	{command: "TYPE"},
	{command: "HGETALL"},
	{command: "HGET"},
	{command: "HSET"},
	{command: "HLEN"},
	{command: "HEXISTS"},
}

func TestAServerThatLacksACommandIsUsedWithLessAndTheCommandIsNamed(t *testing.T) {
	t.Parallel()
	for _, tt := range lacking {
		t.Run(tt.command, func(t *testing.T) {
			t.Parallel()
			p := startRedis(t, redisproc.Options{Config: []string{fmt.Sprintf(`rename-command %s ""`, tt.command)}})
			client := usedWithLess(t, p, Options{}, tt.command == "SCAN", tt.incoherent)
			if !tt.untold {
				wantNamed(t, client, "redis-command-missing", tt.command)
			} else if fs := client.Health().Findings; len(fs) > 0 {
				t.Errorf("findings = %+v", fs)
			}
		})
	}
}

func TestAnACLThatForbidsACommandIsUsedWithLessAndTheCommandIsNamed(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"TIME", "WAIT", "INFO", "ROLE", "SCAN", "UNLINK", "PTTL", "PEXPIRE"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			p := startRedis(t, redisproc.Options{})
			redisDo(t, p, "ACL", "SETUSER", "app", "on", ">one", "~*", "&*", "+@all", "-"+strings.ToLower(command))
			client := usedWithLess(t, p, Options{Username: "app", Password: "one"}, command == "SCAN", false)
			redisDo(t, p, "SET", "d:x", "v")
			_, _, _ = cacheOf[string](t, client, "d", Policy{}).DeletePrefix(t.Context(), "x") // what is not used is not missed
			if slices.Contains([]string{"TIME", "WAIT", "INFO", "ROLE", "SCAN", "UNLINK"}, command) {
				wantNamed(t, client, "redis-command-missing", command)
			}
		})
	}
}

func TestAServerWithoutHELLOAndCLIENTIsUsed(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{Config: []string{`rename-command HELLO ""`, `rename-command CLIENT ""`}})
	client := usedWithLess(t, p, Options{}, false, true)
	wantNamed(t, client, "redis-command-missing", "CLIENT")
}

func wantNamed(t *testing.T, c *Client, code, command string) {
	t.Helper()
	waitUntil(t, 30*time.Second, func() bool {
		return slices.ContainsFunc(c.Health().Findings, func(f health.Finding) bool {
			return f.Code == code && strings.Contains(f.Title+f.Detail, command) && f.Fix != ""
		})
	}, func() string { return fmt.Sprintf("no finding %s names %s: %+v", code, command, c.Health().Findings) })
}

// usedWithLess writes, reads and deletes, online and in an outage, and returns
// the client.
func usedWithLess(t *testing.T, p *redisproc.Process, o Options, noScan, incoherent bool) *Client {
	t.Helper()
	o.Addr = p.Addr()
	o.ReadTimeout, o.WriteTimeout = time.Second, 2*time.Second
	client := open(t, o)
	connect(t, client, 30*time.Second)
	c := cacheOf[string](t, client, "c", Policy{})
	ctx := t.Context()
	for _, key := range []string{"kept", "gone", "x1"} {
		r, err := c.Set(ctx, key, "v")
		wantValue(t, r.Durability, err, Master)
	}
	r, err := c.Delete(ctx, "gone")
	wantValue(t, r.Durability, err, Master)
	waitInRedis(t, p, "c:gone", "<nil>")
	added, _, err := c.Add(ctx, "added", "v")
	wantValue(t, added, err, true)
	n, _, err := c.DeletePrefix(ctx, "x")
	if noScan {
		wantErr(t, err, ErrUnavailable)
	} else {
		wantValue(t, n, err, 1)
	}
	_, err = c.Touch(ctx, "kept", TTL(2*time.Hour))
	wantErr(t, err, nil)
	if _, err = c.Set(ctx, "rest", "v"); err != nil {
		t.Error(err)
	}
	waitInRedis(t, p, "c:rest", "v")
	redisDo(t, p, "SET", "c:other", "theirs", "EX", "60")
	e, err := c.Lookup(ctx, "other")
	wantValue(t, e.Value, err, "theirs")
	if !incoherent {
		waitUntil(t, 30*time.Second, func() bool {
			e, err := c.Lookup(ctx, "other")
			return err == nil && e.Coherent
		}, func() string { return fmt.Sprintf("nothing is coherent: %+v", client.Health()) })
	}
	connect(t, client, 30*time.Second)
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, 30*time.Second, func() bool { return client.State() == health.Degraded }, func() string { return "connected" })
	_, err = c.Set(ctx, "outage", "v")
	wantErr(t, err, nil)
	_, err = c.Delete(ctx, "kept")
	wantErr(t, err, nil)
	resume(t, p)
	waitInRedis(t, p, "c:outage", "v")
	waitInRedis(t, p, "c:kept", "<nil>")
	connect(t, client, 30*time.Second)
	return client
}

// TestADeleteOfAPrefixThatCannotBeFoundHoldsUpNothingElse even one that was
// acknowledged in an outage.
func TestADeleteOfAPrefixThatCannotBeFoundHoldsUpNothingElse(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{Config: []string{`rename-command SCAN ""`}})
	client := away(t, p, Options{})
	a, b := cacheOf[string](t, client, "a", Policy{}), cacheOf[string](t, client, "b", Policy{})
	_, _, err := b.DeletePrefix(t.Context(), "x")
	wantErr(t, err, nil)
	_, _ = b.Set(t.Context(), "y", "v")
	_, _ = a.Set(t.Context(), "1", "v")
	resume(t, p)
	waitInRedis(t, p, "a:1", "v")
	waitInRedis(t, p, "b:y", "v")
	wantNamed(t, client, "redis-command-missing", "SCAN")
	_, err = b.Lookup(t.Context(), "x1")
	wantErr(t, err, ErrNotFound)
	_, _, err = a.DeletePrefix(t.Context(), "x")
	if !errors.Is(err, shard.ErrNoScan) {
		t.Errorf("error = %v", err)
	}
}

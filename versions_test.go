package evercache

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/remote"
)

func TestAVersionIsPartOfTheClassInRedis(t *testing.T) {
	t.Parallel()
	client := open(t, Options{MemoryOnly: true, KeyPrefix: "app:"})
	plain := cacheOf[string](t, client, "d", Policy{})
	second := cacheOf[string](t, client, "d", Policy{Version: 2})
	cacheOf[string](t, client, "d2", Policy{})
	if _, err := NewCache[string](client, "d", Policy{Version: 2}); err == nil {
		t.Error("a version has two caches")
	}
	for _, key := range []string{"a", "a:b", "@2:a", "{tag}a", "a}b{c}", "~d:a"} {
		for c, want := range map[*Cache[string]]string{plain: "app:d:", second: "app:d@2:"} {
			full := c.full(key)
			if full != want+key || c.bare(full) != key {
				t.Errorf("%q is %q in Redis", key, full)
			}
			if got := client.one().ClassOf(full); got != c.keys {
				t.Errorf("%q is not found to be of %s", full, c.class)
			}
			if of, ok := remote.KeyOfTombstone("app:", c.keys.Tomb(full)); !ok || of != full {
				t.Errorf("the tombstone of %q is taken for one of %q", full, of)
			}
			cond := remote.CondOf("app:", full, "me")
			if cond.Marks != c.keys.Marks() || cond.Lives != c.keys.LivesKey() || cond.Rest != key {
				t.Errorf("%q is put back by %+v, and written by %s and %s", full, cond, c.keys.Marks(), c.keys.LivesKey())
			}
			if got := client.one().ClassText(full); got != want {
				t.Errorf("the class of %q begins with %q", full, got)
			}
		}
	}
}

func TestAVersionHasBounds(t *testing.T) {
	for version, ok := range map[int]bool{-1: false, 0: true, 1: true, MaxVersion: true, MaxVersion + 1: false} {
		_, err := NewCache[string](openMemory(t), "c", Policy{Version: version})
		if ok != (err == nil) || err != nil && !strings.Contains(err.Error(), "Policy.Version") {
			t.Errorf("version %d: %v", version, err)
		}
	}
}

func TestTwoVersionsOfAClassShareNothing(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	var cs []*Cache[string]
	for _, version := range []int{0, 1, 2, 2} {
		cs = append(cs, besideAt[string](t, p.Addr(), "d", Policy{Version: version}))
	}
	for i, c := range cs[:3] {
		_, err := c.Set(t.Context(), "a", fmt.Sprint("v", i))
		wantErr(t, err, nil)
	}
	keys := func() []string {
		var found []string
		for _, k := range []string{"d:a", "d@1:a", "d@2:a"} {
			if redisDo(t, p, "EXISTS", k).(int64) == 1 {
				found = append(found, k)
			}
		}
		return found
	}
	want := func(want ...string) {
		t.Helper()
		if got := keys(); !slices.Equal(got, want) {
			t.Errorf("Redis has %v, want %v", got, want)
		}
	}
	want("d:a", "d@1:a", "d@2:a")
	waitCovers(t, cs[3], "a", "v2")
	n, _, err := cs[0].DeletePrefix(t.Context(), "")
	wantValue(t, n, err, 1)
	want("d@1:a", "d@2:a")
	_, err = cs[1].Delete(t.Context(), "a")
	wantErr(t, err, nil)
	want("d@2:a")
	_, err = cs[2].Set(t.Context(), "a", "w")
	wantErr(t, err, nil)
	waitCovers(t, cs[3], "a", "w")
	_, err = cs[2].Delete(t.Context(), "a")
	wantErr(t, err, nil)
	waitUntil(t, 20*time.Second, func() bool { return cs[3].peek("a") == nil }, func() string { return "the delete is not announced" })
}

func TestWhatAnOutageKeptOfAVersionIsPutBackThere(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := besideAt[string](t, p.Addr(), "d", Policy{Version: 2})
	redisDo(t, p, "SET", "d:kept", "of another version")
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	_, err := c.Set(t.Context(), "old:a", "gone")
	wantErr(t, err, nil)
	_, _, err = c.DeletePrefix(t.Context(), "old:")
	wantErr(t, err, nil)
	_, _, err = c.DeletePrefix(t.Context(), "")
	wantErr(t, err, nil)
	_, err = c.Set(t.Context(), "a", "v")
	wantErr(t, err, nil)
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, 20*time.Second, func() bool { return c.client.State() == health.Connected && c.client.Health().OutboxEntries == 0 }, func() string { return "not put back" })
	for key, want := range map[string]string{"d@2:a": "v", "d@2:old:a": "<nil>", "d:kept": "of another version"} {
		if got := fmt.Sprint(redisDo(t, p, "GET", key)); got != want {
			t.Errorf("%s is %s in Redis, want %s", key, got, want)
		}
	}
	if redisDo(t, p, "EXISTS", "~t:d@2", "~p:d@2").(int64) != 2 {
		t.Error("neither lives nor marks of the version are noted")
	}
}

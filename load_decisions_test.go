package evercache

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

func TestALoaderDecidesHowLongItsValueLives(t *testing.T) {
	for _, tt := range []struct {
		ttl  time.Duration
		want time.Duration // that it is fresh; 0: it is kept nowhere
	}{
		{10 * time.Second, 10 * time.Second},
		{10 * time.Hour, 10 * time.Hour},
		{100 * MaxTTL, MaxTTL},
		{time.Millisecond, time.Millisecond},
		{time.Microsecond, 0},
		{0, 0},
		{-time.Hour, 0},
	} {
		t.Run(fmt.Sprint(tt.ttl), func(t *testing.T) {
			faked(t, func(t *testing.T, client *Client) {
				c := cacheOf[string](t, client, "c", Policy{TTL: time.Hour})
				v, err := c.Get(t.Context(), "k", func(ctx context.Context, key string) (string, error) {
					LoadOf[string](ctx).SetTTL(key, tt.ttl)
					return "v", nil
				})
				wantValue(t, v, err, "v")
				it := c.peek("k")
				switch {
				case tt.want == 0 && it != nil:
					t.Errorf("it is kept until %v", it.FreshUntil)
				case tt.want > 0 && (it == nil || time.Duration(it.FreshUntil-it.Written) != tt.want):
					t.Errorf("kept: %+v", it)
				}
			})
		})
	}
}

func TestWhatIsNotToBeStoredReplacesNothingFresh(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute, Stale: time.Hour, RefreshAhead: 0.5})
		_, _ = c.Get(t.Context(), "k", constant("old"))
		noStore := func(ctx context.Context, key string) (string, error) {
			LoadOf[string](ctx).NoStore(key)
			return "not kept", nil
		}
		time.Sleep(50 * time.Second)
		v, err := c.Get(t.Context(), "k", noStore) // a refresh
		wantValue(t, v, err, "old")
		synctest.Wait()
		e, err := c.Lookup(t.Context(), "k")
		wantValue(t, e.Value, err, "old")
		time.Sleep(20 * time.Second) // it is stale
		v, err = c.Get(t.Context(), "k", noStore)
		wantValue(t, v, err, "not kept")
		if _, err := c.Get(t.Context(), "k", failing); err == nil {
			t.Error("a value that the origin has replaced is served still")
		}
	})
}

func TestALoaderThatSaysNotModifiedKeepsTheValue(t *testing.T) {
	type doc struct{ Text, ETag string }
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[doc](t, client, "c", Policy{TTL: time.Minute, Stale: time.Hour})
		asked := ""
		load := func(ctx context.Context, key string) (doc, error) {
			old, ok := LoadOf[doc](ctx).Previous(key)
			asked = fmt.Sprint(old.ETag, ok)
			if ok {
				return doc{}, fmt.Errorf("304: %w", ErrNotModified)
			}
			return doc{"text", "e1"}, nil
		}
		v, err := c.Get(t.Context(), "k", load)
		wantValue(t, v, err, doc{"text", "e1"})
		time.Sleep(2 * time.Minute)
		e, err := c.GetEntry(t.Context(), "k", load)
		if err != nil || e.Value != (doc{"text", "e1"}) || !e.Fresh || e.Age != 0 || asked != "e1true" {
			t.Errorf("%+v, %v, asked with %s", e, err, asked)
		}
		_, _ = c.Delete(t.Context(), "k")
		if _, err := c.Get(t.Context(), "k", func(context.Context, string) (doc, error) { return doc{}, ErrNotModified }); !errors.Is(err, ErrNotModified) {
			t.Errorf("a value that was not given: %v", err)
		}
	})
}

func TestACallForManyKeysDecidesForEach(t *testing.T) {
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{TTL: time.Minute, Stale: time.Hour})
		first := func(_ context.Context, keys []string) (map[string]string, error) {
			return map[string]string{"same": "s", "short": "1", "gone": "1", "none": "1"}, nil
		}
		keys := []string{"gone", "none", "same", "short"}
		_, err := c.GetMany(t.Context(), keys, first)
		wantErr(t, err, nil)
		time.Sleep(2 * time.Minute)
		got, err := c.GetMany(t.Context(), keys, func(ctx context.Context, keys []string) (map[string]string, error) {
			l := LoadOf[string](ctx)
			if v, ok := l.Previous("same"); v != "s" || !ok {
				t.Errorf("previous: %q, %v", v, ok)
			}
			l.NotModified("same")
			l.SetTTL("short", time.Second)
			l.NoStore("none")
			return map[string]string{"short": "2", "none": "2"}, nil
		})
		if err != nil || fmt.Sprint(got) != "map[none:2 same:s short:2]" {
			t.Errorf("%v, %v", got, err)
		}
		time.Sleep(2 * time.Second)
		for key, fresh := range map[string]bool{"same": true, "short": false, "none": false, "gone": false} {
			if it := c.peek(key); it.Fresh(c.client.store.Clock.Now()) != fresh {
				t.Errorf("%s: %+v", key, it)
			}
		}
	})
}

func TestALoadOfNothingKnowsNothing(t *testing.T) {
	l := LoadOf[string](t.Context())
	l.SetTTL("k", time.Second)
	l.NoStore("k")
	l.NotModified("k")
	if v, ok := l.Previous("k"); v != "" || ok {
		t.Errorf("%q, %v", v, ok)
	}
	faked(t, func(t *testing.T, client *Client) {
		c := cacheOf[string](t, client, "c", Policy{})
		v, err := c.Get(t.Context(), "k", func(ctx context.Context, key string) (string, error) {
			LoadOf[int](ctx).NoStore(key) // another type
			return "v", nil
		})
		wantValue(t, v, err, "v")
		if c.peek("k") == nil {
			t.Error("it is not kept")
		}
	})
}

// On Redis: lives of their own are noted there, as few, and a write that is sent again is
// judged by them.
func TestLivesThatLoadersGiveAreNoted(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	c := cacheAt(t, p.Addr(), Policy{TTL: time.Hour})
	for i := range 200 {
		key := fmt.Sprint(i)
		_, err := c.Get(t.Context(), key, func(ctx context.Context, key string) (string, error) {
			LoadOf[string](ctx).SetTTL(key, time.Duration(61+i)*time.Second)
			return "v", nil
		})
		wantErr(t, err, nil)
	}
	waitUntil(t, 20*time.Second, c.noFills, func() string { return "a fill stays" })
	if left := redisDo(t, p, "PTTL", "c:100").(int64); left < 150_000 || left > 161_000 {
		t.Errorf("it ends in %d ms, want 161 s", left)
	}
	lives := redisDo(t, p, "HKEYS", "~t:c")
	if n := len(lives.([]any)); n < 2 || n > 8 {
		t.Errorf("%d lives are noted: %v", n, lives)
	}
}

package evercache

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
)

// rich is small as JSON and large in memory.
type rich struct {
	ID    string
	Sold  map[string]int
	Seen  map[int]string `json:"-"`
	First *leaf          `json:"-"`
}

type leaf struct {
	name string
	next *leaf
}

// takesAtLeast is what one of them has in the bytes of its texts alone.
const takesAtLeast = 2 * 50 * 200

func newRich(id string) rich {
	r := rich{ID: id, Sold: map[string]int{"a": 1}, Seen: map[int]string{}}
	for i := range 50 {
		r.Seen[i] = strings.Repeat("s", 200)
		r.First = &leaf{name: strings.Repeat("l", 200), next: r.First}
	}
	return r
}

// loadRich is its loader.
func loadRich(_ context.Context, key string) (rich, error) { return newRich(key), nil }

func TestTheBoundOfMemoryCountsWhatValuesReferTo(t *testing.T) {
	t.Parallel()
	const bound = 1 << 20
	for name, write := range map[string]func(*Cache[rich], string) error{
		"Set": func(c *Cache[rich], key string) error {
			_, err := c.Set(t.Context(), key, newRich(key))
			return err
		},
		"Get": func(c *Cache[rich], key string) error {
			_, err := c.Get(t.Context(), key, loadRich)
			return err
		},
		"Add": func(c *Cache[rich], key string) error {
			_, _, err := c.Add(t.Context(), key, newRich(key))
			return err
		},
		"SetMany": func(c *Cache[rich], key string) error {
			_, err := c.SetMany(t.Context(), map[string]rich{key: newRich(key)})
			return err
		},
		"GetMany": func(c *Cache[rich], key string) error {
			_, err := c.GetMany(t.Context(), []string{key}, func(_ context.Context, keys []string) (map[string]rich, error) {
				return map[string]rich{key: newRich(key)}, nil
			})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := open(t, Options{MemoryOnly: true, MemoryBytes: bound})
			c := cacheOf[rich](t, client, "rich", Policy{})
			for i := range 200 {
				if err := write(c, fmt.Sprint(i)); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, func() bool { return client.memory.Bytes() <= bound })
			if n := client.memory.Len(); n == 0 || n*takesAtLeast > bound {
				t.Errorf("%d values of at least %d bytes are kept in %d", n, takesAtLeast, bound)
			}
		})
	}
}

// decoding makes something large of a small text.
type decoding struct{ jsonCodec[rich] }

func (decoding) Decode(data []byte) (rich, error) { return newRich(string(data)), nil }

func TestTheBoundOfMemoryCountsWhatADecoderMakes(t *testing.T) {
	t.Parallel()
	const bound = 1 << 20
	r := redistest.Start(t)
	client := open(t, Options{Addr: r.Addr(), MemoryBytes: bound})
	connect(t, client, 30*time.Second)
	c := cacheOf(t, client, "rich", Policy{ReadTimeout: 5 * time.Second}, WithCodec[rich](decoding{}))
	for i := range 200 {
		key := fmt.Sprint(i)
		r.Do("SET", "rich:"+key, "{}", "EX", "100")
		if _, err := c.Lookup(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() bool { return client.memory.Bytes() <= bound })
	if n := client.memory.Len(); n == 0 || n*takesAtLeast > bound {
		t.Errorf("%d values of at least %d bytes are kept in %d", n, takesAtLeast, bound)
	}
}

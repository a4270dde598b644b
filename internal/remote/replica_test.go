package remote

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

func startReplica(t *testing.T, users ...redisproc.User) (master, replica *redisproc.Process) {
	t.Helper()
	master = startRedis(t, redisproc.Options{})
	return master, startRedis(t, redisproc.Options{ReplicaOf: master.Addr(), Users: users})
}

func dialReplica(t *testing.T, c Config) *Replica {
	t.Helper()
	r, err := DialReplica(t.Context(), c, long, observer(func(string, time.Duration, Kind) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// untilHeld waits until the replica holds a barrier.
func untilHeld(t *testing.T, master *redisproc.Process, r *Replica, n uint64, keys ...string) []Copy {
	t.Helper()
	ask(t, master, "SET", "~b:me", strconv.FormatUint(n, 10))
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		cs, err := r.Read(t.Context(), "~b:me", keys, long)
		if err != nil {
			t.Fatal(err)
		}
		if cs[0].Barrier == n {
			return cs
		}
		if time.Now().After(end) {
			t.Fatalf("barrier %d does not come: %+v", n, cs)
		}
	}
}

func TestAReplicaTellsItsBarrierAndWhenKeysEnd(t *testing.T) {
	t.Parallel()
	denied := []string{"~*", "&*", "+@all"}
	master, replica := startReplica(t,
		redisproc.User{Name: "new", Password: "p", Rules: denied},
		redisproc.User{Name: "old", Password: "p", Rules: append(denied, "-pexpiretime")},
		redisproc.User{Name: "whole", Password: "p", Rules: append(denied, "-getrange")},
		redisproc.User{Name: "timeless", Password: "p", Rules: append(denied, "-pexpiretime", "-time")})
	ends := time.Now().Add(time.Hour).UnixMilli()
	ask(t, master, "SET", "k", "v", "PXAT", strconv.FormatInt(ends, 10))
	ask(t, master, "SET", "ever", "v")
	ask(t, master, "SET", "empty", "")
	ask(t, master, "SET", "long", strings.Repeat("x", span))
	ask(t, master, "LPUSH", "list", "v")
	keys := []string{"k", "ever", "none", "empty", "long", "list"}
	for i, user := range []string{"new", "old", "whole"} {
		c := config(replica.Addr())
		c.Username, c.Password = user, "p"
		r := dialReplica(t, c)
		if cs, err := r.Read(t.Context(), "~b:nobody", keys, long); user == "new" && (err != nil || cs[0].Barrier != 0) {
			t.Errorf("%s, no barrier: %+v, %v", user, cs, err)
		}
		_, _ = r.Read(t.Context(), "~b:me", keys, long) // it learns what is forbidden
		cs := untilHeld(t, master, r, uint64(i)+1, keys...)
		if c := cs[0]; string(c.Data) != "v" || c.Err != nil || c.Ends > ends || c.Ends < ends-int64(5*time.Second/time.Millisecond) || user == "new" && c.Ends != ends {
			t.Errorf("%s: %+v, want the end %d", user, c, ends)
		}
		if c := cs[1]; string(c.Data) != "v" || c.Ends != 0 || c.Err != nil {
			t.Errorf("%s, without an end: %+v", user, c)
		}
		for _, c := range cs[2:4] {
			if !IsNil(c.Err) {
				t.Errorf("%s, nothing there: %+v", user, c)
			}
		}
		if !cs[4].Long || KindOf(cs[5].Err) != Logical {
			t.Errorf("%s: long %v, a list: %v", user, cs[4].Long, cs[5].Err)
		}
	}
	c := config(replica.Addr())
	c.Username, c.Password = "timeless", "p"
	r := dialReplica(t, c)
	_, _ = r.Read(t.Context(), "~b:me", keys, long)
	if cs := untilHeld(t, master, r, 9, keys...); !errors.Is(cs[0].Err, errNoTime) || cs[1].Err != nil {
		t.Errorf("nobody can tell when it ends: %+v", cs[0])
	}
}

func TestOnlyAReplicaIsDialledAsOne(t *testing.T) {
	t.Parallel()
	master, replica := startReplica(t)
	if _, err := DialReplica(t.Context(), config(master.Addr()), long, nil); !errors.Is(err, ErrNotReplica) {
		t.Errorf("a master: %v", err)
	}
	c := config(replica.Addr())
	c.NodeID = strings.Repeat("a", 40)
	if _, err := DialReplica(t.Context(), c, long, nil); err == nil {
		t.Error("a node of another id is dialled")
	}
	r := dialReplica(t, config(replica.Addr()))
	replica.Close()
	if _, err := r.Read(t.Context(), "b", []string{"k"}, long); KindOf(err) != Conn || !r.Broken() {
		t.Errorf("after its end: %v, broken %v", err, r.Broken())
	}
}

// TestAHungReplicaIsAskedSoOftenAndNotMore: who comes then is not held up.
func TestAHungReplicaIsAskedSoOftenAndNotMore(t *testing.T) {
	t.Parallel()
	_, replica := startReplica(t)
	r := dialReplica(t, config(replica.Addr()))
	if err := replica.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range mostAsked {
		wg.Go(func() { _, _ = r.Read(ctx, "b", []string{"k"}, patience) })
	}
	for end := time.Now().Add(patience); r.cmd.places.kept.Load() < mostAsked && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	for range 100 {
		if _, err := r.Read(ctx, "b", []string{"k"}, patience); KindOf(err) != Crowded {
			t.Fatalf("one too many: %v", err)
		}
	}
	cancel()
	wg.Wait()
	if _, err := r.Read(t.Context(), "b", []string{"k"}, patience); KindOf(err) != Crowded {
		t.Errorf("callers have left, and their questions are still there: %v", err)
	}
	if err := replica.Resume(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if _, err := r.Read(t.Context(), "b", []string{"k"}, patience); err == nil {
			break
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// TestALiarIsBounded: what a server says that only claims to be a replica.
func TestALiarIsBounded(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]struct{ barrier, value, end string }{
		"no number":        {bulkOf("12x"), bulkOf("v"), ":-1\r\n"},
		"a negative one":   {bulkOf("-1"), bulkOf("v"), ":-1\r\n"},
		"too large a one":  {bulkOf(strings.Repeat("9", 40)), bulkOf("v"), ":-1\r\n"},
		"a long one":       {bulkOf(strings.Repeat("9", 1<<20)), bulkOf("v"), ":-1\r\n"},
		"a list":           {"*1\r\n:1\r\n", "*1\r\n:1\r\n", "*1\r\n:1\r\n"},
		"an odd end":       {bulkOf("1"), bulkOf("v"), ":-99\r\n"},
		"more than asked":  {bulkOf("1"), bulkOf(strings.Repeat("x", 3*span)), ":-1\r\n"},
		"a value too long": {bulkOf("1"), "$999999999\r\n", ":-1\r\n"},
		"garbage":          {"?what\r\n", "", ""},
		"too many":         {bulkOf("1"), bulkOf("v"), ":1\r\n:2\r\n:3\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := serve(t, func(conn net.Conn) {
				in := bufio.NewReader(conn)
				for {
					words, err := command(in)
					if err != nil {
						return
					}
					answer := "+OK\r\n"
					switch strings.ToUpper(words[0]) {
					case "GETRANGE":
						if answer = says.value; words[1] == "b" {
							answer = says.barrier
						}
					case "PEXPIRETIME":
						answer = says.end
					case "ROLE":
						answer = "*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:1\r\n"
					case "HELLO":
						answer = hello
					case "INFO":
						answer = bulkOf("redis_version:7.0.0\r\navailability_zone:eu-1a\r\n")
					}
					if _, err := io.WriteString(conn, answer); err != nil {
						return
					}
				}
			})
			c := config(addr)
			c.MaxValue = 1 << 20
			r, err := DialReplica(t.Context(), c, long, observer(func(string, time.Duration, Kind) {}))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if r.Zone != "eu-1a" {
				t.Errorf("zone %q", r.Zone)
			}
			for range 3 {
				cs, err := r.Read(t.Context(), "b", []string{"k"}, time.Second)
				if err == nil && cs[0].Barrier > 1 {
					t.Errorf("barrier %d", cs[0].Barrier)
				}
				if err == nil && len(cs[0].Data) >= span && !cs[0].Long {
					t.Errorf("%d bytes are taken", len(cs[0].Data))
				}
			}
		})
	}
}

func FuzzBarrierOfAReplica(f *testing.F) {
	for _, text := range []string{"", "0", "12", "-1", "18446744073709551615", "18446744073709551616", "1 ", "٣"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n := barrierIn(text); n != 0 && strings.TrimLeft(text, "+0") != strconv.FormatUint(n, 10) {
			t.Errorf("%q is %d", text, n)
		}
	})
}

func bulkOf(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

package remote

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// BenchmarkFillBesideMarks tells what a fill costs a server that holds so many
// marks of its class.
func BenchmarkFillBesideMarks(b *testing.B) {
	for _, n := range []int{0, 64, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { fillBeside(b, n) })
	}
}

func fillBeside(b *testing.B, marks int) {
	p, err := redisproc.Start(b.Context(), redisproc.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	node, err := Dial(b.Context(), config(p.Addr()), heartbeat, observer(func(string, time.Duration, Kind) {}))
	if err != nil {
		b.Fatal(err)
	}
	defer node.Abandon()
	do := func(args ...string) string {
		reply, err := p.Do(b.Context(), args...)
		if err != nil {
			b.Fatal(err)
		}
		return fmt.Sprint(reply)
	}
	do("EVAL", `for i = 1, ARGV[1] do redis.call('HSET', KEYS[1], 'user:' .. i .. ':', '1000000:other') end`, "1", "app:~p:c", fmt.Sprint(marks))
	key := "app:c:user:none:profile"
	f := Fill{
		Pair: Pair{Key: key, Data: []byte("value"), TTL: time.Hour},
		Tomb: TombstoneKey("app:", key), Marks: MarksKey("app:", key), Rest: RestOf("app:", key), MissedAt: 1 << 50,
	}
	do("CONFIG", "RESETSTAT")
	for b.Loop() {
		if _, err := node.Fill(b.Context(), f, long); err != nil {
			b.Fatal(err)
		}
	}
	took := regexp.MustCompile(`cmdstat_evalsha:.*usec_per_call=([0-9.]+)`).FindStringSubmatch(do("INFO", "commandstats"))
	if took == nil {
		b.Fatal("the server tells no times")
	}
	us, _ := strconv.ParseFloat(took[1], 64)
	b.ReportMetric(us, "server-µs/fill")
}

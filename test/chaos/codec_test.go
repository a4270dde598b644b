package chaos_test

import (
	"math/rand/v2"
	"time"

	"github.com/evercache/evercache"
)

// lagging is a codec that sometimes takes its time: what can come between
// Redis's answer and what memory keeps of it, does. encode: writes too, so that
// one that begins first may be sent last.
type lagging struct{ encode bool }

func (l lagging) Encode(v string) ([]byte, error) {
	if l.encode && rand.IntN(2) == 0 {
		time.Sleep(time.Duration(rand.IntN(10_000)) * time.Microsecond)
	}
	return []byte(v), nil
}

func (lagging) Decode(data []byte) (string, error) {
	if rand.IntN(8) == 0 {
		time.Sleep(time.Duration(rand.IntN(10_000)) * time.Microsecond)
	}
	return string(data), nil
}

// chaosCache is the class that the runs work on.
func chaosCache(c *evercache.Client, p evercache.Policy, slowWrites bool) (*evercache.Cache[string], error) {
	return evercache.NewCache(c, chaosClass, p, evercache.WithCodec[string](lagging{slowWrites}))
}

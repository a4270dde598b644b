package evercache

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/evercache/evercache/internal/keyfiles"
	"github.com/evercache/evercache/internal/shard"
)

// keyFiles are the sources of TLSFiles; nil where there are none.
type keyFiles struct{ redis, sentinels *keyfiles.Source }

func newKeyFiles(o Options) keyFiles {
	source := func(base *tls.Config, f TLSFiles) *keyfiles.Source {
		if f == (TLSFiles{}) {
			return nil
		}
		return keyfiles.NewSource(base, keyfiles.Names(f))
	}
	return keyFiles{source(o.TLS, o.TLSFiles), source(o.SentinelTLS, o.SentinelTLSFiles)}
}

// tlsNow is what a dial asks; nil without files.
func tlsNow(s *keyfiles.Source) shard.TLSSource {
	if s == nil {
		return nil
	}
	return s
}

func (k keyFiles) any() bool { return k.redis != nil || k.sentinels != nil }

// lookEvery is how often the files are read without a connection: what is wrong
// with them must be known before the next one needs them.
const lookEvery = 10 * time.Second

// watch reads the files now and then, until ctx ends.
func (k keyFiles) watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		for _, s := range []*keyfiles.Source{k.redis, k.sentinels} {
			if s != nil {
				s.Look()
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

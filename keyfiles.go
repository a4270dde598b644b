package evercache

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/evercache/evercache/internal/keyfiles"
	"github.com/evercache/evercache/internal/remote"
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
func tlsNow(s *keyfiles.Source) remote.TLSSource {
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

// expiresSoon is how long before its end a certificate is told of.
const expiresSoon = 7 * 24 * time.Hour

func (k keyFiles) findings(now time.Time) (fs []Finding) {
	for _, s := range []struct {
		source *keyfiles.Source
		whose  string
	}{{k.redis, "for Redis"}, {k.sentinels, "for the sentinels"}} {
		if s.source == nil {
			continue
		}
		if err := s.source.Fault(); err != nil {
			fs = append(fs, Finding{
				Code: "redis-tls-files", Severity: Warning,
				Title:  "A TLS file cannot be used",
				Detail: fmt.Sprintf("%s: %v; the last files that could be used are used", s.whose, err),
				Fix:    "Write whole files that belong together. They are read again at every connection, and every 10 s.",
			})
		}
		if at, ok := s.source.Expires(); ok && at.Sub(now) < expiresSoon {
			fs = append(fs, expiring(s.whose, at, now))
		}
	}
	return fs
}

func expiring(whose string, at, now time.Time) Finding {
	f := Finding{
		Code: "redis-tls-expiring", Severity: Warning,
		Title:  "Our TLS certificate is over soon",
		Detail: fmt.Sprintf("that %s ends at %s", whose, at.UTC().Format(time.RFC3339)),
		Fix:    "Renew it in the same files: no restart is needed.",
	}
	if at.Before(now) {
		f.Severity, f.Title = Error, "Our TLS certificate is over"
	}
	return f
}

package evercache

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/evercache/evercache/health"
)

// bulletin decides which findings are news for the log. One that comes and goes
// within a moment, as at every start, is none; one that comes again and again is
// reported once a minute.
type bulletin struct {
	since    map[string]time.Time // by code: since when it has been there without a break
	reported map[string]time.Time // by code: when it was reported
	shown    map[string]bool      // those reported and not yet reported to be over
}

const (
	findingSettles = time.Second // it is news when it has been there for so long
	findingAgain   = time.Minute // it is not reported again within
	findingLook    = 500 * time.Millisecond
)

func newBulletin() *bulletin {
	return &bulletin{since: map[string]time.Time{}, reported: map[string]time.Time{}, shown: map[string]bool{}}
}

// next takes the findings of this moment and says which are to be reported, and
// which codes of those that were reported are over.
func (b *bulletin) next(now time.Time, fs []health.Finding) (news []health.Finding, over []string) {
	var codes []string
	for _, f := range fs {
		codes = append(codes, f.Code)
		since, known := b.since[f.Code]
		if !known {
			b.since[f.Code], since = now, now
		}
		last, ever := b.reported[f.Code]
		if b.shown[f.Code] || now.Sub(since) < findingSettles || ever && now.Sub(last) < findingAgain {
			continue
		}
		b.reported[f.Code], b.shown[f.Code] = now, true
		news = append(news, f)
	}
	for code := range b.since {
		if slices.Contains(codes, code) {
			continue
		}
		delete(b.since, code)
		if b.shown[code] {
			delete(b.shown, code)
			over = append(over, code)
		}
	}
	slices.Sort(over)
	return news, over
}

// announce logs what is found until ctx ends. What the settings were found to have
// is not there: whoever read them tells it.
func (c *Client) announce(ctx context.Context) {
	b := newBulletin()
	tick := time.NewTicker(findingLook)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		news, over := b.next(time.Now(), c.findings())
		for _, f := range news {
			c.store.Log.LogAttrs(ctx, f.Severity.Level(), f.Title,
				append([]slog.Attr{slog.String("event", "finding")}, f.LogAttrs()...)...)
		}
		for _, code := range over {
			c.store.Log.LogAttrs(ctx, slog.LevelInfo, "a finding is over", slog.String("event", "finding.over"), slog.String("code", code))
		}
	}
}

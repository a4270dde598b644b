package main

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
)

// servers are what the clients of a mode connect to.
type servers struct {
	all     []*redisproc.Process
	options evercache.Options
	close   func() error
}

// downAfter is long: a machine busy with the measurement is no dead master.
const downAfter = 10 * time.Second

var starts = map[string]func(context.Context) (*servers, error){
	"standalone": func(ctx context.Context) (*servers, error) {
		p, err := redisproc.Start(ctx, redisproc.Options{})
		if err != nil {
			return nil, err
		}
		return &servers{all: []*redisproc.Process{p}, options: quiet(evercache.Options{Addr: p.Addr()}), close: p.Close}, nil
	},
	"sentinel": func(ctx context.Context) (*servers, error) {
		set, err := redisproc.StartSet(ctx, redisproc.SetOptions{DownAfter: downAfter, Config: []string{"repl-diskless-sync-delay 0"}})
		if err != nil {
			return nil, err
		}
		o := evercache.Options{MasterName: set.MasterName()}
		for _, s := range set.Sentinels() {
			o.Sentinels = append(o.Sentinels, s.Addr())
		}
		return &servers{all: append(set.Nodes(), set.Sentinels()...), options: quiet(o), close: set.Close}, nil
	},
}

func quiet(o evercache.Options) evercache.Options {
	o.Logger = slog.New(slog.DiscardHandler)
	return o
}

// settled reports whether the client has a confirmed master and a feed.
func (s *servers) settled(c *evercache.Client) bool {
	h := c.Health()
	sentinel := len(s.options.Sentinels) == 0 || h.Sentinel.Stage == "clear" && !h.Sentinel.Provisional
	return h.State == health.Connected && sentinel && h.Feed.Coherent
}

// connections are those of evercache to all servers.
func (s *servers) connections(ctx context.Context) (n int, err error) {
	for _, p := range s.all {
		reply, err := p.Do(ctx, "CLIENT", "LIST")
		if err != nil {
			return 0, err
		}
		text, _ := reply.(string)
		n += strings.Count(text, " name=evercache ")
	}
	return n, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/internal/censor"
	"github.com/evercache/evercache/internal/overview"
)

// runningDaemon is an evercache that serves, whoever has started it.
type runningDaemon struct {
	check
	token evercache.Secret // "": none
}

// daemonAt is the one at a URL. The token of the settings is sent there.
func daemonAt(given string, cfg config.Config) (runningDaemon, error) {
	c, err := checkOf(given)
	return runningDaemon{c, tokenOf(cfg)}, err
}

// daemonHere is the one that the settings say where it listens.
func daemonHere(environ []string, cfg config.Config) (runningDaemon, error) {
	c, err := ownCheck(environ)
	return runningDaemon{c, tokenOf(cfg)}, err
}

func tokenOf(cfg config.Config) evercache.Secret {
	if all := cfg.Server.Tokens.All.Values; len(all) > 0 {
		censor.Hide(all[0].Reveal()) // whoever it is shown to may repeat it
		return all[0]
	}
	return ""
}

// where is its address for people.
func (d runningDaemon) where() string { return d.url.Scheme + "://" + d.url.Host }

// send asks it, and shows the token.
func (d runningDaemon) send(req *http.Request) (*http.Response, error) {
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: d.tls, DisableKeepAlives: true}, // and no proxy
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if d.token != "" {
		req.Header.Set("Authorization", "Bearer "+d.token.Reveal())
	}
	resp, err := client.Do(req)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%s: %w: no evercache serve listens there; --url or EVERCACHE_LISTEN says where one does", d.where(), syscall.ECONNREFUSED)
	case err != nil:
		return nil, &noAnswer{err}
	}
	return resp, nil
}

// health is the body of its /health.
func (d runningDaemon) health(ctx context.Context) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := d.send(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, overview.MaxHealth+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.where(), &noAnswer{err})
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusServiceUnavailable {
		return nil, fmt.Errorf("%s answers %s", d.where(), statusLine(resp))
	}
	return body, nil
}

// view is what it sees of its set.
func (d runningDaemon) view(ctx context.Context) (overview.View, error) {
	body, err := d.health(ctx)
	if err != nil {
		return overview.View{}, err
	}
	v, err := overview.OfHealth(body, d.where(), time.Now())
	if errors.Is(err, overview.ErrNoHealth) {
		err = fmt.Errorf("%s: %w", d.where(), err)
	}
	return v, err
}

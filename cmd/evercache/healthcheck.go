package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/internal/censor"
)

func healthcheckCommand() command {
	return command{
		name:    "healthcheck",
		summary: "Check whether a running evercache is healthy",
		usage:   " [--url URL] [--timeout 3s] [--strict]",
		help: `Asks GET /health of the address in EVERCACHE_LISTEN and prints the answer in one
line. It is meant for Docker's HEALTHCHECK and for scripts. No token is asked for,
but the settings must be valid: on an address that others can reach they name one.
With EVERCACHE_TLS_CERT_FILE it speaks TLS and accepts that certificate only.

Flags:
  --url URL        ask this instead, e.g. https://cache.example:3000; a path other
                   than /health must answer 200
  --timeout 3s     how long to wait
  --strict         degraded (memory answers in place of Redis) is a failure too

Examples:
  evercache healthcheck
  HEALTHCHECK --interval=10s CMD ["/evercache", "healthcheck"]
  evercache healthcheck --url http://127.0.0.1:3000/readyz

Exit status: 0 well; 1 not well or no answer; 2 wrong flags or configuration.
`,
		run: healthcheck,
	}
}

func healthcheck(inv invocation, args []string) int {
	var fs flag.FlagSet
	given := fs.String("url", "", "")
	timeout := fs.Duration("timeout", 3*time.Second, "")
	strict := fs.Bool("strict", false, "")
	if status, ok := healthcheckCommand().parse(inv, &fs, args); !ok {
		return status
	}
	c, err := newCheck(inv.environ, *given, *strict)
	if err != nil {
		return wrongConfig(inv, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	text, err := c.ask(ctx)
	if err != nil {
		say(inv.stderr, "evercache healthcheck: %v\n", err)
		return exitFailed
	}
	say(inv.stdout, "%s\n", text)
	return exitOK
}

// check is one question to one address.
type check struct {
	url *url.URL
	tls *tls.Config
}

// newCheck asks the URL given, else the address that serve would listen on.
func newCheck(environ []string, given string, strict bool) (c check, err error) {
	if given != "" {
		c, err = checkOf(given)
	} else {
		c, err = ownCheck(environ)
	}
	if err == nil && strict {
		q := c.url.Query()
		q.Set("strict", "1")
		c.url.RawQuery = q.Encode()
	}
	return c, err
}

func checkOf(given string) (check, error) {
	u, err := url.Parse(given)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return check{}, fmt.Errorf("--url wants http://host:port or https://host:port") // the URL may hold a secret
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/health"
	}
	return check{url: u}, nil
}

func ownCheck(environ []string) (check, error) {
	cfg, err := config.FromEnv(environ)
	if err != nil {
		return check{}, err
	}
	host, port, err := net.SplitHostPort(cfg.Server.Listen)
	if err != nil {
		return check{}, fmt.Errorf("EVERCACHE_LISTEN: %w", err)
	}
	u := &url.URL{Scheme: "http", Host: net.JoinHostPort(reachable(host), port), Path: "/health"}
	if cfg.Server.TLSCertFile == "" {
		return check{url: u}, nil
	}
	u.Scheme = "https"
	pinned, err := pin(cfg.Server.TLSCertFile)
	return check{url: u, tls: pinned}, err
}

// reachable turns an address that means all interfaces into one to dial.
func reachable(host string) string {
	ip := net.ParseIP(host)
	switch {
	case host == "" || ip != nil && ip.Equal(net.IPv4zero):
		return "127.0.0.1"
	case ip != nil && ip.IsUnspecified():
		return "::1"
	}
	return host
}

// ask returns one line for people, as an error when all is not well.
func (c check) ask(ctx context.Context) (string, error) {
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: c.tls, DisableKeepAlives: true}, // and no proxy
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url.String(), nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", &noAnswer{err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", &noAnswer{err}
	}
	text := summary(resp, body)
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s (%s)", text, statusLine(resp))
	}
	return text, nil
}

// summary is what the answer says, as far as it is one of /health.
func summary(resp *http.Response, body []byte) string {
	var health struct {
		Status string
		Redis  struct{ Message string }
	}
	if json.Unmarshal(body, &health) == nil && health.Status != "" {
		return censor.Text(health.Status+": "+health.Redis.Message, maxAnswer)
	}
	if resp.StatusCode == http.StatusOK {
		return "ok"
	}
	return "not well"
}

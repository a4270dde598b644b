package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"time"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/internal/daemon"
	"github.com/evercache/evercache/internal/dev"
	"github.com/evercache/evercache/internal/logqueue"
)

// devService is evercache serve inside evercache dev.
type devService struct {
	check check // of /health
	ended chan struct{}
	err   error // valid once ended is closed
}

// serveOnDev starts the service and waits until it answers.
func serveOnDev(ctx context.Context, environ []string, out io.Writer) (dev.Service, error) {
	cfg, err := config.FromEnv(environ)
	if err != nil {
		return nil, dev.OptionsError{Err: fmt.Errorf("--serve: the configuration is wrong:\n%w", err)}
	}
	handler := daemon.NewLogger(out, cfg.Server.LogLevel, cfg.Server.LogFormat).Handler()
	logs := logqueue.New(handler, cfg.Server.LogLevel, logqueue.Bounds{})
	d := daemon.New(cfg, slog.New(logs))
	s := &devService{ended: make(chan struct{})}
	go func() { // until ctx ends; whoever waits for Ended waits for it
		s.err = d.Run(ctx)
		flush(logs)
		close(s.ended)
	}()
	select {
	case <-d.Listening():
	case <-s.ended:
		return nil, fmt.Errorf("--serve: %w", explainListen(s.err))
	}
	s.check, err = serviceCheck(environ, d.Addr())
	return s, err
}

// explainListen adds what to do.
func explainListen(err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "listen" {
		return fmt.Errorf("%w\nEVERCACHE_LISTEN=127.0.0.1:0 takes a free port", err)
	}
	return err
}

// serviceCheck asks the address that the service listens on, whatever port that has become.
func serviceCheck(environ []string, addr net.Addr) (check, error) {
	c, err := ownCheck(environ)
	if err != nil {
		return c, err
	}
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return c, err
	}
	c.url.Host = net.JoinHostPort(c.url.Hostname(), port)
	return c, nil
}

func (s *devService) URL() string {
	return (&url.URL{Scheme: s.check.url.Scheme, Host: s.check.url.Host}).String()
}

// stateLimit bounds a question to a service in the same process.
const stateLimit = time.Second

func (s *devService) State(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, stateLimit)
	defer cancel()
	text, err := s.check.ask(ctx)
	if err != nil {
		return "does not answer: " + err.Error()
	}
	return text
}

func (s *devService) Ended() <-chan struct{} { return s.ended }
func (s *devService) Err() error             { return s.err }

package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/evercache/evercache/internal/daemon"
	"github.com/evercache/evercache/internal/sdnotify"
)

// tellSystemd tells systemd, where it asks for it, when the daemon serves, lives and
// ends. The daemon serves without it: what systemd cannot be told is a line in the
// log. The function that it returns ends it, after the daemon.
func tellSystemd(stopping context.Context, environ []string, d *daemon.Daemon, log *slog.Logger) (done func()) {
	settings, err := sdnotify.Read(environ, os.Getpid())
	logSystemd(log, err)
	n, err := sdnotify.Dial(settings)
	logSystemd(log, err)
	if n == nil {
		return func() {}
	}
	over, end := context.WithCancel(context.Background())
	serving, cut := context.WithCancel(stopping)
	ended := make(chan struct{})
	go func() { // ends with over
		defer close(ended)
		defer func() { _ = n.Close() }() // the process ends; nobody can do anything about its error
		select {
		case <-d.Listening():
		case <-over.Done():
			return
		}
		logSystemd(log, n.Ready("listening on "+d.Addr().String()))
		n.Watch(serving, d.Look)
		logSystemd(log, n.Stopping("ending; what is kept for Redis is sent"))
		n.Watch(over, d.Look)
	}()
	return func() {
		cut()
		end()
		<-ended
	}
}

func logSystemd(log *slog.Logger, err error) {
	if err != nil {
		log.LogAttrs(context.Background(), slog.LevelWarn, "systemd could not be told", slog.String("event", "systemd.failed"), slog.Any("error", err))
	}
}

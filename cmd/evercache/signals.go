package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// sameWish is how long after the first signal a further one says the same: a
// terminal and whatever started us both pass on one Ctrl-C, and the second must not
// throw away what the first lets us save.
const sameWish = time.Second

// watchSignals returns a context that ends when a signal asks for the end, and
// from then on lets one more end the process at once. Signals that mean something
// else must not end it: see obeyOthers.
func watchSignals(log *slog.Logger) context.Context {
	ctx, end := context.WithCancelCause(context.Background())
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	obeyOthers(log, end)
	go func() { // until the first signal; it lives as long as the process
		end(fmt.Errorf("%v signal received", <-asked))
		time.Sleep(sameWish)
		signal.Reset(syscall.SIGTERM, syscall.SIGINT)
	}()
	return ctx
}

// dumpBytes bounds what a dump of all goroutines takes; the log's queue takes a
// mebibyte.
const dumpBytes = 256 << 10

// dump logs what every goroutine does.
func dump(log *slog.Logger) {
	b := make([]byte, dumpBytes)
	b = b[:runtime.Stack(b, true)]
	log.LogAttrs(context.Background(), slog.LevelWarn, "SIGQUIT: stacks of all goroutines",
		slog.String("event", "signal.stacks"), slog.String("stacks", string(b)))
}

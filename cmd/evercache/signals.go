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

// watchSignals returns a context that ends when a signal asks for the end. From then
// on one more ends the process at once, after last, which has lastWords. Signals that
// mean something else must not end it: see obeyOthers.
func watchSignals(log *slog.Logger, last func(os.Signal)) context.Context {
	ctx, end := context.WithCancelCause(context.Background())
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	obeyOthers(log, end)
	go func() { // it lives as long as the process
		end(fmt.Errorf("%v signal received", <-asked))
		ignored := time.After(sameWish)
		for same := true; same; {
			select {
			case <-asked:
			case <-ignored:
				same = false
			}
		}
		cutOff(<-asked, last)
	}()
	return ctx
}

// lastWords is what a process that is to end at once may take to say so. A process
// that hangs must end too.
const lastWords = 2 * time.Second

// cutOff ends the process as the signal would have.
func cutOff(s os.Signal, last func(os.Signal)) {
	said := make(chan struct{})
	go func() { // ends with the process, which does not wait for it
		last(s)
		close(said)
	}()
	select {
	case <-said:
	case <-time.After(lastWords):
	}
	signal.Reset(syscall.SIGTERM, syscall.SIGINT)
	endBy(s)
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

// untilSignal returns a context that ends with the first signal that asks for the end. A reader of our output
// that goes away does not end us: there may be something to clean up.
func untilSignal() (context.Context, context.CancelFunc) {
	signal.Ignore(syscall.SIGPIPE)
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup wants it to stay ignored
		signals = append(signals, syscall.SIGHUP)
	}
	return signal.NotifyContext(context.Background(), signals...)
}

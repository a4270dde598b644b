//go:build unix

package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// obeyOthers decides what the signals do that would end or stop the process though
// nobody wants its end. The runtime takes no action on SIGUSR1, SIGUSR2, SIGALRM,
// SIGXCPU, SIGXFSZ and their like; SIGABRT ends it with a dump on purpose, and
// SIGTSTP stops it on purpose.
func obeyOthers(log *slog.Logger, end context.CancelCauseFunc) {
	signal.Ignore(
		syscall.SIGPIPE, // whoever read our log is gone: the write says so
		syscall.SIGTTOU, // a log line on a terminal that wants no background output
		syscall.SIGTTIN,
	)
	others := make(chan os.Signal, 4)
	signal.Notify(others, syscall.SIGQUIT)
	if !signal.Ignored(syscall.SIGHUP) { // nohup wants it to stay ignored
		signal.Notify(others, syscall.SIGHUP)
	}
	terminal := onTerminal()
	go func() { // lives as long as the process
		for s := range others {
			switch {
			case s == syscall.SIGQUIT:
				dump(log)
			case terminal:
				end(errors.New("hangup signal received"))
			default:
				log.LogAttrs(context.Background(), slog.LevelInfo, "SIGHUP is ignored: certificates, token and passwords are reloaded automatically; other settings need a restart",
					slog.String("event", "signal.ignored"))
			}
		}
	}()
}

// onTerminal reports whether there is a terminal that can hang up. Without one,
// SIGHUP is what people send to have files read again.
func onTerminal() bool {
	f, err := os.OpenFile("/dev/tty", os.O_RDONLY|syscall.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	_ = f.Close() // it was opened only to see that it is there
	return true
}

// endBy lets a signal end the process, so that its status names the signal.
func endBy(s os.Signal) {
	n, _ := s.(syscall.Signal)
	_ = syscall.Kill(os.Getpid(), n) // where it does nothing, the exit status says the same
	time.Sleep(time.Second)
	os.Exit(128 + int(n))
}

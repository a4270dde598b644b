package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// dev on a terminal of its own.
func (p *playground) onTerminal(args ...string) (d *playing, window *os.File) {
	p.Helper()
	window, programs := terminal(p.T)
	p.environ = append(p.environ, "TERM=xterm")
	d = &playing{playground: p, Cmd: p.command(args...), ended: make(chan struct{})}
	d.Stdin, d.Stdout, d.Stderr = programs, programs, programs
	d.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := d.Start(); err != nil {
		p.Fatal(err)
	}
	d.reap()
	programs.Close()
	go func() { // until the window is closed, at the end of the test
		buf := make([]byte, 4096)
		for {
			n, err := window.Read(buf)
			if err != nil {
				return
			}
			_, _ = d.Write(buf[:n])
		}
	}()
	return d, window
}

func typed(t *testing.T, window *os.File, keys string) {
	t.Helper()
	if _, err := window.WriteString(keys); err != nil {
		t.Error(err)
	}
}

func TestDevOnATerminalShowsTheServersLive(t *testing.T) {
	t.Parallel()
	d, window := newPlayground(t).onTerminal()
	d.sees("ready: ")
	d.sees("dev> ")
	typed(t, window, "kilo\x7f")
	d.sees("dev> kil")
	typed(t, window, "l master\r")
	d.sees("redis-1 was killed")
	d.sees("redis-1     127.0.0.1:")
	d.until("the table shows the next master", func() bool {
		table := d.output()
		table = table[strings.LastIndex(table, "redis-1     127.0.0.1:"):]
		return strings.Contains(table, "dead") && strings.Contains(table, "names redis-2") || strings.Contains(table, "names redis-3")
	})
	typed(t, window, "\x03")
	d.ends(exitOK)
	if !strings.Contains(d.output(), "\x1b[31mredis-1") {
		t.Error("no colour on a terminal")
	}
}

func TestDevEndsWithItsTerminal(t *testing.T) {
	t.Parallel()
	d, window := newPlayground(t).onTerminal("--standalone")
	d.sees("ready: ")
	typed(t, window, "stop redis-1\r") // a stopped server has to end, too
	d.sees("redis-1 is stopped")
	window.Close()
	d.ends(exitOK)
}

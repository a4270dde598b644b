//go:build unix

package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// notifySocket is what systemd would listen at.
func notifySocket(t *testing.T) (path string, hear func() string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sd") // a test's own folder may be too long for an address
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path = filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return path, func() string {
		t.Helper()
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 4096)
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
}

func TestServeTellsSystemd(t *testing.T) {
	path, hear := notifySocket(t)
	p := startServe(t, "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=200000")
	if got, want := hear(), "READY=1\nSTATUS=listening on "+p.addr; got != want {
		t.Errorf("systemd heard %q, want %q", got, want)
	}
	for range 3 {
		if got := hear(); got != "WATCHDOG=1" {
			t.Errorf("systemd heard %q", got)
		}
	}
	p.signal(syscall.SIGTERM)
	for {
		got := hear()
		if strings.HasPrefix(got, "STOPPING=1\n") {
			break
		}
		if got != "WATCHDOG=1" {
			t.Fatalf("systemd heard %q", got)
		}
	}
	if log, state := p.end(); !state.Success() || strings.Contains(log, "systemd") {
		t.Errorf("it ends with %v; its log:\n%s", state, log)
	}
}

func TestServeGoesOnWithoutSystemd(t *testing.T) {
	for what, environ := range map[string][]string{
		"nobody at the socket":       {"NOTIFY_SOCKET=/nowhere/notify"},
		"no socket":                  {"NOTIFY_SOCKET=nonsense"},
		"a watchdog that is no time": {"NOTIFY_SOCKET=@evercache-nobody", "WATCHDOG_USEC=soon"},
	} {
		t.Run(what, func(t *testing.T) {
			p := launchServe(t, environ...)
			p.logs(`"event":"systemd.failed"`)
			p.logs(`"msg":"listening"`)
			p.signal(syscall.SIGTERM)
			if log, state := p.end(); !state.Success() {
				t.Errorf("it ends with %v; its log:\n%s", state, log)
			}
		})
	}
}

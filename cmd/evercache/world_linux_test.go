package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/evercache/evercache/redistest"
)

func TestAFullDiskUnderTheLogCostsNothing(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	r := redistest.Start(t)
	p := prepare(t, redisAt(r)...)
	p.Stdout, p.Stderr = full, full
	p.begin()
	p.connected()
	p.outage(r, "kept")
	if !p.dropped() {
		t.Error("no dropped line was counted")
	}
	p.signal(syscall.SIGTERM)
	if state := p.exit(); state.ExitCode() != exitOK {
		t.Error(state)
	}
}

// terminal makes a pair of files: what a window holds, and what its programs have.
func terminal(t *testing.T) (window, programs *os.File) {
	t.Helper()
	window, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { window.Close() })
	var number, unlock int32
	for request, v := range map[uintptr]*int32{syscall.TIOCSPTLCK: &unlock, syscall.TIOCGPTN: &number} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, window.Fd(), request, uintptr(unsafe.Pointer(v))); errno != 0 {
			t.Fatal(errno)
		}
	}
	programs, err = os.OpenFile("/dev/pts/"+strconv.Itoa(int(number)), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { programs.Close() })
	return window, programs
}

// on starts the process as the leader of a terminal.
func (p *worldly) on(programs *os.File) *worldly {
	p.Stdin = programs
	p.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	return p.begin()
}

func logFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestWhenItsTerminalHangsUpItEndsInOrder(t *testing.T) {
	window, programs := terminal(t)
	log := logFile(t)
	p := prepare(t, deadRedis(t)...)
	p.Stderr = log
	p.on(programs)
	programs.Close()
	window.Close()
	state := p.exit()
	b, err := os.ReadFile(log.Name())
	if state.ExitCode() != exitOK || err != nil || !strings.Contains(string(b), "hangup signal received") || !strings.Contains(string(b), `"msg":"stopped"`) {
		t.Errorf("%v, log:\n%s", state, b)
	}
}

func TestUnderNohupTheEndOfTheTerminalIsNone(t *testing.T) {
	window, programs := terminal(t)
	p := prepare(t, deadRedis(t)...)
	p.through(`trap "" HUP`)
	p.Stderr = logFile(t)
	p.on(programs)
	p.put("kept")
	programs.Close()
	window.Close()
	p.signal(syscall.SIGHUP)
	if n := p.has("kept"); n != 20 {
		t.Errorf("%d of 20 are left", n)
	}
	p.signal(syscall.SIGHUP)
	if n := p.has("kept"); n != 20 {
		t.Errorf("%d of 20 are left", n)
	}
}

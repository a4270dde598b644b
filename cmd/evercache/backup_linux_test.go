package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/testbed"
	"github.com/evercache/evercache/redistest"
)

// onATerminal runs a command on a terminal of its own. The text typed is entered when a
// question is asked.
func onATerminal(t *testing.T, environ []string, typed string, args ...string) (shown string, exit int) {
	t.Helper()
	window, programs := terminal(t)
	p, _ := prepared(t, environ, "", args...)
	p.Stdin, p.Stdout, p.Stderr = programs, programs, programs
	p.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	programs.Close()
	var s testbed.Buffer // what the terminal has shown
	var reading sync.WaitGroup
	reading.Go(func() { // until the program has ended
		buf := make([]byte, 4096)
		for {
			n, err := window.Read(buf)
			_, _ = s.Write(buf[:n])
			if err != nil {
				return
			}
		}
	})
	if typed != "" {
		testbed.Until(t, time.Minute, func() bool { return strings.Contains(s.String(), "Type yes: ") }, s.String)
		if _, err := window.WriteString(typed); err != nil {
			t.Fatal(err)
		}
	}
	err := p.Wait()
	reading.Wait()
	return s.String(), status(err)
}

// On a terminal there is a line of progress, and a question before a target that is not
// empty is written.
func TestBackupAndRestoreOnATerminal(t *testing.T) {
	t.Parallel()
	from, to := redistest.Start(t), redistest.Start(t)
	some(t, from, 10000)
	to.Do("SET", "k1", "mine")
	name := filepath.Join(t.TempDir(), "x.backup")
	shown, exit := onATerminal(t, redisAt(from), "", "backup", name)
	if exit != exitOK || !strings.Contains(shown, "\rbackup: ") || strings.Contains(shown, "\x1b") {
		t.Errorf("%d: %q", exit, shown)
	}
	if shown, exit := onATerminal(t, redisAt(to), "no\n", "restore", name); exit != exitUsage || !strings.Contains(shown, "nothing was written") {
		t.Errorf("%d: %q", exit, shown)
	}
	if n := to.Do("DBSIZE"); n != int64(1) {
		t.Errorf("%v keys", n)
	}
	shown, exit = onATerminal(t, redisAt(to), "y\n", "restore", name)
	if exit != exitOK || !strings.Contains(shown, "restored 9999, existed already 1") || !strings.Contains(shown, "%") {
		t.Errorf("%d: %q", exit, shown)
	}
	if n := to.Do("DBSIZE"); n != int64(10000) {
		t.Errorf("%v keys", n)
	}
}

// A file comes through a pipe.
func TestARestoreFromAPipe(t *testing.T) {
	t.Parallel()
	from, to := redistest.Start(t), redistest.Start(t)
	some(t, from, 1000)
	name := filepath.Join(t.TempDir(), "x.backup")
	(&session{t: t, environ: redisAt(from)}).run(exitOK, "backup", name, "--gzip")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		data []byte
		exit int
		says string
	}{{data[:len(data)/2], exitFailed, "cut off"}, {data, exitOK, "restored "}} {
		var out bytes.Buffer
		exit := run([]string{"restore", "-", "--yes"}, invocation{environ: redisAt(to), stdin: bytes.NewReader(c.data), stdout: &out, stderr: &out})
		if exit != c.exit || !strings.Contains(out.String(), c.says) {
			t.Errorf("%d: %s", exit, &out)
		}
	}
	if n := fmt.Sprint(to.Do("DBSIZE")); n != "1000" {
		t.Errorf("%s keys", n)
	}
}

package survey_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/survey"
)

// echo answers whatever it is asked with one line.
func echo(t *testing.T, line string) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for in := bufio.NewScanner(c); in.Scan(); {
					if strings.HasPrefix(in.Text(), "*") {
						_, _ = fmt.Fprintf(c, "%s\r\n", line)
					}
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// A sentinel may know the password of the servers with data, and is asked before they are.
func TestASentinelThatRepeatsTheRedisPasswordShowsNothing(t *testing.T) {
	t.Parallel()
	const secret = "known-to-the-sentinel"
	target := survey.TargetOf(evercache.Options{
		Sentinels: []string{echo(t, "-NOAUTH it is "+secret+" \x1b[31m")}, MasterName: "m", Password: secret,
	})
	target.Timeout = 6 * time.Second
	f := survey.Take(t.Context(), target).Sentinels[0].Fault
	if f == nil || !strings.Contains(f.Text, "NOAUTH it is ***") || strings.ContainsAny(f.Text, "\x1b\r\n") {
		t.Errorf("the fault is %+v", f)
	}
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/evercache/evercache/redistest"
)

// raw answers every connection with the same bytes, and hangs up.
func raw(t *testing.T, answer string) (url string) {
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
			_, _ = c.Read(make([]byte, 4096))
			_, _ = c.Write([]byte(answer))
			_ = c.Close()
		}
	}()
	return "http://" + ln.Addr().String()
}

// What an HTTP server writes into its status line is text of others too: it may command the terminal, and
// repeat the token that it was shown.
func TestAnAnswerOfOthersIsFitToBeShown(t *testing.T) {
	const token = "a-token-that-is-repeated"
	evil := "\x1b[31m\x1b]0;title\x07 " + token
	body := `{"status":"up\u001b[2J","redis":{"mode":"standalone","message":"\u001b[31m ` + token + `"}}`
	for name, answer := range map[string]string{
		"status line":      "HTTP/1.1 404 " + evil + "\r\nContent-Length: 0\r\n\r\n",
		"no status line":   evil + "\r\n\r\n",
		"no status number": "HTTP/1.1 " + evil + "\r\n\r\n",
		"a header":         "HTTP/1.1 200 OK\r\n" + evil + "\r\n\r\n",
		"a body":           fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body),
		"an error":         "HTTP/1.1 400 Bad\r\nContent-Length: 63\r\n\r\n" + `{"error":{"code":"\u001b[31m","message":"aaaaaaaaaaaaaaaa"}}`,
	} {
		url := raw(t, answer)
		for _, args := range [][]string{
			{"status", "--url", url},
			{"status", "--url", url, "-o", "json"},
			{"history", "--url", url},
			{"history", "--url", url, "--watch"},
			{"healthcheck", "--url", url},
			{"inspect", "--url", url, "product"},
		} {
			if name == "a body" && args[len(args)-1] == "--watch" {
				continue // it watches on
			}
			var out, errs bytes.Buffer
			run(args, invocation{environ: []string{"EVERCACHE_TOKEN=" + token}, stdout: &out, stderr: &errs})
			if all := out.String() + errs.String(); all == "" || strings.ContainsAny(all, "\x1b\x07") || strings.Contains(all, token) {
				t.Errorf("%s: %s: %q", name, strings.Join(args, " "), all)
			}
		}
	}
}

// unwritable is an output that cannot be written.
type unwritable struct{ err error }

func (u unwritable) Write([]byte) (int, error) { return 0, u.err }

// A report that nobody could read must not look like one that was well. Who hangs up has seen enough.
func TestAReportThatCannotBeWrittenIsAnError(t *testing.T) {
	server := redistest.Start(t)
	environ := []string{"REDIS_HOST=" + server.Host(), fmt.Sprintf("REDIS_PORT=%d", server.Port()), "EVERCACHE_READ_TIMEOUT=30s", "EVERCACHE_DIAL_TIMEOUT=30s"}
	full := &os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}
	gone := &os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE}
	for _, args := range [][]string{{"doctor", "--timeout", "60s"}, {"doctor", "--timeout", "60s", "-o", "json"}, {"status", "--timeout", "60s"}, {"status", "--timeout", "60s", "-o", "json"}} {
		for _, tt := range []struct {
			err    error
			status int
			says   string
		}{{full, exitUsage, "no space left"}, {gone, exitOK, ""}, {errors.New("odd"), exitUsage, "odd"}} {
			var errs bytes.Buffer
			status := run(args, invocation{environ: environ, stdout: unwritable{tt.err}, stderr: &errs})
			if status != tt.status || !strings.Contains(errs.String(), tt.says) || tt.says == "" && errs.Len() > 0 {
				t.Errorf("%v: %v: status %d, want %d; %q", args, tt.err, status, tt.status, errs.String())
			}
		}
	}
}

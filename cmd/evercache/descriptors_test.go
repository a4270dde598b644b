//go:build unix

package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
)

// call opens a connection, sends a text and reads the first line of the answer;
// the connection stays open until the test ends.
func (p *worldly) call(text string) string {
	p.t.Helper()
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		return err.Error() // the queue is full
	}
	p.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := fmt.Fprint(c, text); err != nil {
		return err.Error()
	}
	if strings.HasSuffix(text, "X-Slow: ") {
		return ""
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return line
}

func TestCallersCannotTakeTheDescriptorsThatRedisNeeds(t *testing.T) {
	for name, text := range map[string]string{
		"idle":         "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"slow headers": "GET /livez HTTP/1.1\r\nX-Slow: ",
		"held bodies":  "PUT /v1/cache/demo/held HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := redistest.Start(t)
			p := prepare(t, append(redisAt(r), "EVERCACHE_JOURNAL_DIR="+t.TempDir())...)
			p.through("ulimit -n 64")
			p.begin()
			p.connected()
			p.put("kept")
			r.Kill()
			for range 90 {
				p.call(text)
			}
			r.Start()
			p.until("it is connected again while callers hold their connections", func() bool {
				return strings.Contains(fmt.Sprint(r.Do("CLIENT", "LIST")), "evercache")
			})
			p.until("others are answered", func() bool { return p.try("GET", "/health", "") == http.StatusOK })
			if _, body := p.ask("GET", "/health", ""); !strings.Contains(body, `"few-descriptors"`) {
				t.Errorf("no finding about the limit: %s", body)
			}
			p.until("what was acknowledged is in Redis", func() bool { return landed(r, "kept") == 20 })
		})
	}
}

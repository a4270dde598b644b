package chaos_test

import (
	"bufio"
	"io"
	"net"
	"time"

	"github.com/evercache/evercache/redistest"
)

// longestAnswer asks a server PING all the time, over a connection of its own. What it
// returns ends that and says how long the longest answer took.
func longestAnswer(s *stage, server *redistest.Server) (end func() time.Duration) {
	s.Helper()
	c, err := net.Dial("tcp", server.Addr())
	if err != nil {
		s.Fatal(err)
	}
	stop, longest := make(chan struct{}), make(chan time.Duration, 1)
	go func() {
		defer c.Close()
		longest <- askAll(c, stop)
	}()
	return func() time.Duration { close(stop); return <-longest }
}

func askAll(c io.ReadWriter, stop <-chan struct{}) (longest time.Duration) {
	answers := bufio.NewReader(c)
	for {
		began := time.Now()
		if _, err := io.WriteString(c, "PING\r\n"); err != nil {
			return longest
		}
		if _, err := answers.ReadString('\n'); err != nil {
			return longest
		}
		longest = max(longest, time.Since(began))
		select {
		case <-stop:
			return longest
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// readTimeout is how long a read waits by default. A call that takes longer is one that
// Redis did not answer in time.
const readTimeout = 100 * time.Millisecond

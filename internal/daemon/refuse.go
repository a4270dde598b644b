package daemon

import (
	"bufio"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"time"
)

// Bounds of refusals.
const (
	mostRefusals = 8 // under way at the same time; further connections are closed at once
	refusalTime  = time.Second
	refusalBytes = 64 << 10 // that are read of one
)

// refuse ends a connection for which there is no slot, with an answer as far as
// there is room for that.
func (b *bounded) refuse(c net.Conn) {
	b.refused.Add(1)
	select {
	case b.refusing <- struct{}{}:
	default:
		_ = c.Close() // nobody has it
		return
	}
	b.refusals.Go(func() { // for refusalTime at most
		defer func() { <-b.refusing }()
		defer c.Close()
		if b.plain {
			_ = c.SetDeadline(time.Now().Add(refusalTime))
			answerFull(c)
		}
	})
}

// answerFull reads the request first, since a close with unread data takes the
// answer away again, and says 503; but to a liveness probe that all is well: a
// process that is restarted loses what it keeps.
func answerFull(c net.Conn) {
	in := bufio.NewReader(io.LimitReader(c, refusalBytes))
	r, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	if r.URL.Path == "/livez" {
		_, err = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")
	} else {
		err = send(c, errTooManyConnections(), rand.Text())
	}
	if t, ok := c.(*net.TCPConn); ok && err == nil {
		_ = t.CloseWrite() // the answer ends here
		_, _ = io.Copy(io.Discard, in)
	}
}

package remote

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

// speech is the connection to a server that says what it has been given, once it
// has been asked often enough, and then ends.
type speech struct {
	net.Conn
	login, says []byte // says comes when ready is closed
	piece       int
	ready       chan struct{}
	closed      chan struct{}
	once        sync.Once
}

func (s *speech) Read(p []byte) (int, error) {
	if len(s.login) > 0 {
		n := copy(p, s.login)
		s.login = s.login[n:]
		return n, nil
	}
	select {
	case <-s.ready:
	case <-s.closed:
		return 0, net.ErrClosed
	}
	if len(s.says) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.piece)], s.says)
	s.says = s.says[n:]
	return n, nil
}

func (s *speech) Write(p []byte) (int, error) { return len(p), nil }

func (s *speech) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (s *speech) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *speech) SetDeadline(time.Time) error      { return nil }
func (s *speech) SetReadDeadline(time.Time) error  { return nil }
func (s *speech) SetWriteDeadline(time.Time) error { return nil }

// rueidis panics on a goroutine of its own at an answer to nothing, and nobody can
// recover that. So the guard must see every value where rueidis sees it.
func FuzzWhatTheGuardPassesIsSafeForRueidis(f *testing.F) {
	for _, tt := range streams {
		if len(tt.sent) < 1<<10 {
			f.Add([]byte(tt.sent), byte(len(tt.sent)), byte(0))
		}
	}
	login := []byte(hello + "+OK\r\n+OK\r\n")
	for _, says := range []string{
		strings.Repeat("_xx", 40), strings.Repeat("#txx", 40), "_\r\n#t\r\n_\r\n",
		">3\r\n+psubscribe\r\n+*\r\n:1\r\n+PONG\r\n", ">1\r\n+psubscribe\r\n+QUEUED\r\n", ">2\r\n$11\r\npsubscribe\r\r\n:1\r\n+QUEUED\r\n",
		"*2\r\n>2\r\n+invalidate\r\n*1\r\n+k\r\n:1\r\n:2\r\n", "*1\r\n>2\r\n+a\r\n+b\r\n>3\r\n+psubscribe\r\n+*\r\n:1\r\n",
		">3\r\n+punsubscribe\r\n+*\r\n:0\r\n+PONG\r\n", "|1\r\n+a\r\n+b\r\n+OK\r\n", "-QUEUED\r\n!3\r\nERR\r\n",
	} {
		for mode := range byte(8) {
			f.Add([]byte(says), byte(3), mode)
		}
		f.Add(append(login, says...), byte(7), byte(8))
	}
	f.Fuzz(func(t *testing.T, says []byte, piece, mode byte) {
		c := &speech{says: says, piece: 1 + int(piece), ready: make(chan struct{}), closed: make(chan struct{})}
		if mode&8 == 0 {
			c.login = login
			if mode&4 != 0 { // it has a special case for Redis 6
				c.login = []byte(strings.Replace(string(login), "%2\r\n", "%3\r\n$7\r\nversion\r\n$3\r\n6.2\r\n", 1))
			}
		} else {
			close(c.ready)
		}
		answers, conn := talk(t, c, mode)
		if total := conn.guard.answers; mode&8 == 0 && uint64(answers) > total {
			t.Errorf("rueidis took %d answers, the guard saw %d", answers, total)
		}
	})
}

// talk asks over c and returns how much was answered after the login.
func talk(t *testing.T, c *speech, mode byte) (answers int, conn *greeting) {
	conn = &greeting{Conn: c, asking: guard{ours: true}}
	o := options(Config{Addr: "script", DialTimeout: time.Minute, watched: true, Track: &Tracking{Invalidated: func([]string, bool) {}}}, conn, "fuzz", "")
	o.ReadBufferEachConn, o.WriteBufferEachConn, o.RingScaleEachConn = 4<<10, 4<<10, 2
	client, err := rueidis.NewClient(o)
	if err != nil {
		_ = c.Close()
		if client != nil {
			client.Close()
		}
		return 0, conn
	}
	defer client.Close()
	defer func() { _ = c.Close() }()
	conn.known.Store(true)
	due := conn.asked.Load()
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if mode&1 != 0 {
		due++
		wg.Go(func() {
			_ = client.Receive(ctx, client.B().Psubscribe().Pattern("*").Build(), func(rueidis.PubSubMessage) {})
		})
		conn.wait(due) // it is to be the first
	}
	done := make(chan []rueidis.RedisResult, 1)
	if mode&2 != 0 {
		due += 2
		wg.Go(func() {
			done <- client.DoMulti(ctx, client.B().Role().Build(), client.B().Ping().Build())
		})
	} else {
		due++
		wg.Go(func() { done <- []rueidis.RedisResult{client.Do(ctx, client.B().Role().Build())} })
	}
	if conn.wait(due); mode&8 == 0 {
		close(c.ready)
	}
	for _, r := range <-done {
		if r.NonRedisError() == nil {
			answers++
		}
	}
	return answers, conn
}

// wait waits until so much has been asked, or there is nobody to ask.
func (g *greeting) wait(asked uint64) {
	for g.asked.Load() < asked && !g.over.Load() {
		time.Sleep(10 * time.Microsecond)
	}
}

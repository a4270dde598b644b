package redistest

import (
	"context"
	"crypto/tls"
	"net"
	"testing"

	"github.com/evercache/evercache/internal/redisproc"
)

// Server is one real redis-server, or, as an element of Sentinel.Sentinels, redis-sentinel. Its
// address stays the same however often it is killed and started.
type Server struct {
	tb      testing.TB
	process *redisproc.Process
}

// Start starts a server that ends with the test. It returns when the server answers. The server
// loses no acknowledged write when it is killed; Restart(Empty) is there to make it.
func Start(tb testing.TB, opts ...Option) *Server {
	tb.Helper()
	need(tb, redisproc.Server)
	process, err := redisproc.Start(context.Background(), collect(opts).serverOptions(tb))
	must(tb, err)
	s := &Server{tb, process}
	tb.Cleanup(func() {
		if tb.Failed() {
			showLog(tb, s)
		}
		if err := process.Close(); err != nil {
			tb.Errorf("redistest: %v", err)
		}
	})
	return s
}

// Addr is host:port.
func (s *Server) Addr() string { return s.process.Addr() }

// Host is the host of Addr.
func (s *Server) Host() string {
	host, _, _ := net.SplitHostPort(s.Addr()) // an address of ours always has both
	return host
}

// Port is the port of Addr.
func (s *Server) Port() int { return s.process.Port() }

// Running says whether there is a process, paused or not.
func (s *Server) Running() bool { return s.process.Running() }

// Pid is the process's id, or 0 while none runs.
func (s *Server) Pid() int { return s.process.Pid() }

// Kill ends the server with SIGKILL, as a crash. It returns when the process is gone; connecting is
// refused from then on. A server that is dead already stays so.
func (s *Server) Kill() {
	s.tb.Helper()
	must(s.tb, s.process.Kill())
}

// Stop ends the server with SIGTERM, as an orderly shutdown, and waits for its end.
func (s *Server) Stop() {
	s.tb.Helper()
	must(s.tb, s.process.Stop(context.Background()))
}

// Pause halts the server with SIGSTOP, as a machine that hangs: connecting works, connections stay,
// and nothing is answered until Resume, which also answers what was sent meanwhile.
func (s *Server) Pause() {
	s.tb.Helper()
	must(s.tb, s.process.Pause())
}

// Resume lets a paused server go on.
func (s *Server) Resume() {
	s.tb.Helper()
	must(s.tb, s.process.Resume())
}

// Start starts a server that was killed or stopped, with what its disk holds, and returns when it
// answers.
func (s *Server) Start() {
	s.tb.Helper()
	must(s.tb, s.process.Start(context.Background()))
}

// Data says what a restarted server finds on its disk.
type Data int

const (
	// KeepData leaves what the server had. One that answers saves everything before it ends. One
	// that is dead or paused has what its persistence wrote: a server of Start everything, a node
	// of a set nothing unless it was started WithPersistence or told to SAVE, which fails the test.
	KeepData Data = iota
	// Empty removes what the server had. A sentinel forgets what it learned and names the first
	// master again.
	Empty
)

// Restart ends the server, however it is, starts it again, and returns when it answers.
func (s *Server) Restart(data Data) {
	s.tb.Helper()
	what := redisproc.KeepData
	if data == Empty {
		what = redisproc.Empty
	}
	must(s.tb, s.process.Restart(context.Background(), what))
}

// Do sends one command on a connection of its own, with the default user's password, and returns
// the reply: a string, an int64, nil, or for a list []any of these. (RESP3 types appear after HELLO
// only.) An error reply ends the test; Try returns it.
func (s *Server) Do(args ...string) any {
	s.tb.Helper()
	reply, err := s.process.Do(context.Background(), args...)
	must(s.tb, err)
	return reply
}

// Try is Do for commands that may fail. It waits for at most five seconds, or until ctx ends, and
// may be called from any goroutine. An error reply is an error whose text ends with the reply.
func (s *Server) Try(ctx context.Context, args ...string) (any, error) {
	return s.process.Do(ctx, args...)
}

// Log is the end of what the server has printed, passwords cut out.
func (s *Server) Log() string { return s.process.Log() }

// TLSConfig is for a client of a server that was started with TLS: it trusts the server and has a
// client certificate. Each call returns a new one; without TLS it is nil.
func (s *Server) TLSConfig() *tls.Config { return clientConfig(s.process.TLS()) }

// TLSFiles are the PEM files for such a client.
func (s *Server) TLSFiles() TLSFiles { return clientFiles(s.process.TLS()) }

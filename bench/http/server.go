package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/evercache/evercache/bench/machine"
)

// childEnv makes a process of this program the bare server.
const childEnv = "EVERCACHE_BENCH_HTTP_BARE"

// child is bare net/http until its standard input ends. It prints its address.
func child(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return serveBare(ctx)
}

// serveBare is the least that net/http costs.
func serveBare(ctx context.Context) error {
	var values sync.Map
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			body, _ := io.ReadAll(r.Body)
			values.Store(r.URL.Path, body)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		v, ok := values.Load(r.URL.Path)
		if !ok {
			http.NotFound(w, r)
			return
		}
		body, _ := v.([]byte)
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	s := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	if err := s.Serve(ln); ctx.Err() == nil {
		return err
	}
	return nil
}

// server is a process that is asked.
type server struct {
	name string
	addr string
	cmd  *exec.Cmd
}

// startBare starts this program once more.
func startBare(ctx context.Context) (*server, error) {
	s := &server{name: "bare", cmd: exec.CommandContext(ctx, os.Args[0])}
	s.cmd.Env = append(os.Environ(), childEnv+"=1")
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if _, err := s.cmd.StdinPipe(); err != nil { // it ends with ours
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	s.addr = strings.TrimSpace(line)
	return s, err
}

// startEvercache starts evercache serve over a Redis.
func startEvercache(ctx context.Context, binary, redis string) (*server, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	s := &server{name: "evercache", addr: addr, cmd: exec.CommandContext(ctx, binary, "serve")}
	host, port, _ := net.SplitHostPort(redis)
	for _, one := range os.Environ() {
		if !strings.HasPrefix(one, "EVERCACHE_") && !strings.HasPrefix(one, "REDIS_") {
			s.cmd.Env = append(s.cmd.Env, one)
		}
	}
	s.cmd.Env = append(s.cmd.Env, "REDIS_HOST="+host, "REDIS_PORT="+port, "EVERCACHE_LISTEN="+addr, "EVERCACHE_LOG_LEVEL=error")
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr); err == nil {
			return s, conn.Close()
		}
		if err := machine.Pause(ctx, 10*time.Millisecond); err != nil {
			break
		}
	}
	return s, errors.New("evercache serve does not answer")
}

func freeAddr(ctx context.Context) (string, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// cpu is the processor time that all its threads have taken so far, to the nanosecond.
func (s *server) cpu() (sum time.Duration, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.cmd.Process.Pid))
	if err != nil || len(tasks) == 0 {
		return 0, errors.Join(err, errors.New("the system does not tell the processor time of a process: this needs Linux"))
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // that thread has ended
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n)
	}
	return sum, nil
}

func (s *server) close() error {
	if s == nil {
		return nil
	}
	_ = s.cmd.Process.Signal(os.Interrupt)
	_ = s.cmd.Wait() // it was interrupted
	return nil
}

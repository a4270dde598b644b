package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/evercache/evercache/bench/machine"
	"github.com/evercache/evercache/internal/redisproc"
)

// service is evercache serve as a process of its own.
type service struct {
	cmd   *exec.Cmd
	addr  string
	dir   string
	group group
	ended chan struct{}
}

func startService(ctx context.Context, redis *redisproc.Process, limit int) (s *service, err error) {
	s = &service{ended: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.dir, err = os.MkdirTemp("", "evercache-bench-"); err != nil {
		return s, err
	}
	binary := filepath.Join(s.dir, "evercache")
	if err = build(ctx, binary); err != nil {
		return s, err
	}
	if limit > 0 {
		if s.group, err = newGroup(limit); err != nil {
			return s, err
		}
	}
	if s.addr, err = freeAddr(); err != nil {
		return s, err
	}
	s.cmd = exec.Command("/bin/sh", "-c", s.group.script()+`exec "$0" serve`, binary)
	s.cmd.Env = append(os.Environ(), "REDIS_HOST=127.0.0.1", fmt.Sprint("REDIS_PORT=", redis.Port()), "EVERCACHE_LISTEN="+s.addr, "EVERCACHE_DRAIN_TIMEOUT=1s")
	s.cmd.Stderr = os.Stderr
	if err = s.cmd.Start(); err != nil {
		s.cmd = nil
		return s, err
	}
	go func() { // until the process ends
		_ = s.cmd.Wait() // the state says it all
		close(s.ended)
	}()
	return s, s.await(ctx, `"status":"up"`)
}

// build makes the binary in its own module, whose versions count.
func build(ctx context.Context, binary string) error {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/evercache/evercache").Output()
	if err != nil {
		return fmt.Errorf("find the module: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/evercache")
	cmd.Dir = strings.TrimSpace(string(root))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
}

func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// await waits until the health says it.
func (s *service) await(ctx context.Context, word string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if body, err := get(ctx, "http://"+s.addr+"/health"); err == nil && strings.Contains(body, word) {
			return nil
		}
		select {
		case <-s.ended:
			return s.state()
		default:
		}
		if err := machine.Pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("evercache does not say %s: %w", word, err)
		}
	}
}

// state is nil while the process runs.
func (s *service) state() error {
	select {
	case <-s.ended:
		return fmt.Errorf("evercache has ended: %v", s.cmd.ProcessState)
	default:
		return nil
	}
}

// close ends the process and removes what was made for it.
func (s *service) close() error {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	return errors.Join(s.group.close(), os.RemoveAll(s.dir))
}

var client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: maxCallers}}

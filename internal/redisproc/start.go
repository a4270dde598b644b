package redisproc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// StartError tells why a process that was started did not answer.
type StartError struct {
	Program string // the path of what was run
	Addr    string
	Err     error
	Log     string // the last lines of its log, passwords cut out
}

func (e *StartError) Error() string {
	return fmt.Sprintf("start %s on %s: %v; its log ends:\n%s", e.Program, e.Addr, e.Err, e.Log)
}

func (e *StartError) Unwrap() error { return e.Err }

// errExited: the program ended by itself, mostly because of its configuration or its port.
var errExited = errors.New("it ended before it answered")

// Start starts the process again, after it was killed or stopped, on its port and with what its
// disk holds. It returns when the process answers.
func (p *Process) Start(ctx context.Context) error {
	p.life.Lock()
	defer p.life.Unlock()
	return p.startLocked(ctx)
}

func (p *Process) startLocked(ctx context.Context) error {
	if p.closed {
		return fmt.Errorf("start %s: closed", p.command.path)
	}
	if p.Running() {
		return fmt.Errorf("start %s on %s: it is running", p.command.path, p.Addr())
	}
	r, err := p.launch()
	if err != nil {
		return fmt.Errorf("start %s: %w", p.command.path, err)
	}
	ctx, cancel := context.WithTimeout(ctx, p.options.StartTimeout)
	defer cancel()
	if err := p.waitReady(ctx, r); err != nil {
		err = errors.Join(err, p.Kill()) // first the end, then the log: it may be still writing
		return &StartError{Program: p.command.path, Addr: p.Addr(), Err: err, Log: p.tail(tailLines)}
	}
	return nil
}

// launch starts the program with its output appended to the log file.
func (p *Process) launch() (*run, error) {
	out, err := os.OpenFile(p.logPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the child has its own copy
	cmd := exec.Command(p.command.path, append([]string{p.confPath()}, p.command.args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, out, out
	if len(p.options.Env) > 0 {
		cmd.Env = append(os.Environ(), p.options.Env...)
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	r, err := spawn(cmd)
	if err != nil {
		return nil, err
	}
	p.run, p.paused = r, false
	if p.options.Spawned != nil {
		p.options.Spawned(r.pid)
	}
	return r, nil
}

// waitReady polls until the process answers, ends, or ctx does.
func (p *Process) waitReady(ctx context.Context, r *run) error {
	for delay := 2 * time.Millisecond; ; delay = min(2*delay, 50*time.Millisecond) {
		err := p.answers(ctx)
		if r.hasExited() { // also when something answered: it was not this process
			return errExited
		}
		if err == nil {
			return nil
		}
		select {
		case <-r.exited:
			return errExited
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(delay):
		}
	}
}

// answers is nil when this process, and not another one on its port, answers PING.
func (p *Process) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	replies, err := p.Pipeline(ctx, []string{"PING"}, []string{"INFO", "server"})
	switch {
	case full(err):
		return nil
	case err != nil:
		return err
	}
	if pong, ok := replies[0].(string); !ok || pong != "PONG" {
		return fmt.Errorf("PING answered: %v", replies[0]) // LOADING, mostly
	}
	info, ok := replies[1].(string)
	if ok && !strings.Contains(info, "config_file:"+p.confPath()) {
		return fmt.Errorf("another process answers on %s", p.Addr())
	}
	return nil // an administrator who may not ask INFO has had a PONG
}

// full: a server with a small maxclients, whose clients came back before us, is ready.
func full(err error) bool {
	e, ok := errors.AsType[ReplyError](err)
	return ok && strings.Contains(string(e), "max number of clients")
}

// portTaken says that another port may help.
func portTaken(err error) bool {
	e, ok := errors.AsType[*StartError](err)
	return ok && errors.Is(err, errExited) && strings.Contains(e.Log, "Address already in use")
}

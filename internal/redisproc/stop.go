package redisproc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	killTimeout = 10 * time.Second // SIGKILL works at once; this is for a machine that hardly runs
	stopTimeout = 15 * time.Second // a master waits 10 s for replicas that lag
)

var errNotRunning = errors.New("it is not running")

// Kill ends the process with SIGKILL and waits until it is gone. Without a process it does nothing.
func (p *Process) Kill() error {
	r, err := p.signal(sigKill)
	if r == nil {
		return err
	}
	if !r.waitExit(context.Background(), killTimeout) {
		return fmt.Errorf("kill %s (pid %d): still there after %v", p.options.Kind, r.pid, killTimeout)
	}
	return nil
}

// Stop ends the process with SIGTERM, upon which it saves what its configuration says, and waits
// until it is gone. A paused process is resumed to hear it. One that does not end within 15 s, or
// before ctx does, is killed, and that is an error.
func (p *Process) Stop(ctx context.Context) error {
	p.life.Lock()
	defer p.life.Unlock()
	r, err := p.signal(sigTerm)
	if r == nil {
		return err
	}
	if _, err := p.signal(sigCont); err != nil {
		return err
	}
	if r.waitExit(ctx, stopTimeout) {
		return nil
	}
	err = fmt.Errorf("stop %s (pid %d): it did not end by itself and was killed", p.options.Kind, r.pid)
	return errors.Join(err, p.Kill())
}

// Pause stops the process with SIGSTOP, as a machine that hangs: connections stay, new ones are
// accepted by the kernel, nothing is answered. It returns when the process has come to a halt.
func (p *Process) Pause() error {
	r, err := p.signal(sigStop)
	if r == nil {
		return fmt.Errorf("pause %s: %w", p.options.Kind, cmp.Or(err, errNotRunning))
	}
	for deadline := time.Now().Add(killTimeout); ; time.Sleep(time.Millisecond) {
		halted, err := stopped(r.pid)
		switch {
		case err != nil:
			return fmt.Errorf("pause %s (pid %d): %w", p.options.Kind, r.pid, err)
		case halted:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("pause %s (pid %d): still running after %v", p.options.Kind, r.pid, killTimeout)
		}
	}
}

// Resume lets a paused process go on. One that is not paused is left as it is.
func (p *Process) Resume() error {
	if r, err := p.signal(sigCont); r == nil {
		return fmt.Errorf("resume %s: %w", p.options.Kind, cmp.Or(err, errNotRunning))
	}
	return nil
}

// signal sends sig to the process and returns its run, or nil when there is none. The lock, and
// the look at exited, keep it from a process that has been reaped and whose pid may be another's.
func (p *Process) signal(sig sysSignal) (*run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.runningLocked() {
		return nil, nil
	}
	if err := sendSignal(p.run.pid, sig); err != nil {
		return nil, fmt.Errorf("signal %s (pid %d): %w", p.options.Kind, p.run.pid, err)
	}
	switch sig {
	case sigStop:
		p.paused = true
	case sigCont:
		p.paused = false
	}
	return p.run, nil
}

// waitExit is false when ctx or the limit ends first.
func (r *run) waitExit(ctx context.Context, limit time.Duration) bool {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-r.exited:
		return true
	case <-ctx.Done():
	case <-t.C:
	}
	return r.hasExited()
}

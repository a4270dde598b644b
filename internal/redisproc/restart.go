package redisproc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Data says what a restarted process finds on its disk.
type Data int

const (
	// KeepData leaves the disk as it is. A server that answers is told to save everything first, so
	// nothing it acknowledged is lost. One that is dead or hung comes back with what its
	// persistence had written; it is an error when that is nothing at all.
	KeepData Data = iota
	// Empty empties the data directory: a new machine under the old address. A server keeps its
	// configuration as rewritten since; a sentinel, whose configuration is its memory, gets the one
	// it was first started with.
	Empty
)

// ErrNothingToKeep is what Restart(KeepData) answers for a dead server that had saved nothing.
var ErrNothingToKeep = errors.New("nothing on disk to keep: it was not told to save and has no persistence")

// Restart ends the process and starts it again on its port. It returns when it answers.
func (p *Process) Restart(ctx context.Context, data Data) error {
	p.life.Lock()
	defer p.life.Unlock()
	if p.closed {
		return fmt.Errorf("restart %s: closed", p.options.Kind)
	}
	end := p.endKeeping
	if data == Empty {
		end = p.endEmpty
	}
	if err := end(ctx); err != nil {
		return fmt.Errorf("restart %s on %s: %w", p.options.Kind, p.Addr(), err)
	}
	return p.startLocked(ctx)
}

func (p *Process) endKeeping(ctx context.Context) error {
	if p.options.Kind == Sentinel { // writes its configuration file at each change
		return p.Kill()
	}
	if p.canAnswer() {
		return p.saveAndEnd(ctx)
	}
	if err := p.Kill(); err != nil {
		return err
	}
	return p.somethingOnDisk()
}

func (p *Process) endEmpty(context.Context) error {
	if err := p.Kill(); err != nil {
		return err
	}
	if p.options.Kind == Sentinel {
		if err := p.writeConf(); err != nil {
			return err
		}
	}
	return p.clearData()
}

func (p *Process) canAnswer() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runningLocked() && !p.paused
}

// saveAndEnd shuts the server down with SHUTDOWN SAVE, which takes no write after the save: with
// SAVE and a kill, a write in between would be lost. NOW, since Redis 7, does not wait for replicas.
func (p *Process) saveAndEnd(ctx context.Context) error {
	done := p.Done()
	_, err := p.Do(ctx, "SHUTDOWN", "SAVE", "NOW")
	if e, ok := errors.AsType[ReplyError](err); ok && strings.HasPrefix(string(e), "ERR syntax") {
		_, err = p.Do(ctx, "SHUTDOWN", "SAVE")
	}
	if _, refused := errors.AsType[ReplyError](err); refused {
		return err
	}
	// Any other error is the connection's: the server closed it when it ended, or is still saving.
	limit, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	select {
	case <-done:
		return nil
	case <-limit.Done():
		return fmt.Errorf("it did not end after SHUTDOWN SAVE: %w", errors.Join(context.Cause(limit), err))
	}
}

// somethingOnDisk looks for any file but the temporary ones that a killed save leaves.
func (p *Process) somethingOnDisk() error {
	entries, err := os.ReadDir(p.dataPath())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "temp-") {
			return nil
		}
	}
	return ErrNothingToKeep
}

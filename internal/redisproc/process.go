package redisproc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// maxPortTries bounds the search for a port on which the process can listen.
const maxPortTries = 5

// Process is one redis program with its directory and its port, which stay the same however often
// it is killed and started. Its methods may be called from any goroutine.
type Process struct {
	options Options
	command command
	dir     string
	port    port // fixed when the package's Start has returned

	life   sync.Mutex // serialises what starts the process and what ends it for good
	closed bool       // guarded by life

	mu     sync.Mutex // guards the two below
	run    *run       // the latest; nil before the first
	paused bool
}

// Start starts a process on a free loopback port and returns when it answers. The error is a
// *StartError when the program ran and did not answer, and wraps ErrNoBinary when there is none.
func Start(ctx context.Context, o Options) (*Process, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Kind, err)
	}
	p, err := prepare(o.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Kind, err)
	}
	for range maxPortTries {
		if err = p.tryPort(ctx); !portTaken(err) {
			break
		}
	}
	if err != nil {
		if errors.Is(err, ErrPort) {
			err = fmt.Errorf("start %s: %w", o.Kind, err)
		}
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func prepare(o Options) (*Process, error) {
	cmd, err := find(o.Kind)
	if err != nil {
		return nil, err
	}
	dir, err := o.directory(o.Kind)
	if err != nil {
		return nil, err
	}
	return &Process{options: o, command: cmd, dir: dir}, nil
}

// tryPort starts the process on a port that it has not been tried on.
func (p *Process) tryPort(ctx context.Context) error {
	if p.port != nil {
		if err := p.port.Release(); err != nil {
			return err
		}
	}
	port, err := p.options.reserve()
	if err != nil {
		return err
	}
	p.port = port
	if err := p.clear(); err != nil {
		return err
	}
	return p.Start(ctx)
}

// clear writes the configuration file anew and empties the data directory and the log.
func (p *Process) clear() error {
	if err := p.writeConf(); err != nil {
		return err
	}
	if err := os.Truncate(p.logPath(), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return p.clearData()
}

func (p *Process) clearData() error {
	if err := os.RemoveAll(p.dataPath()); err != nil {
		return fmt.Errorf("empty the data directory: %w", err)
	}
	return os.Mkdir(p.dataPath(), 0o700)
}

func (p *Process) dataPath() string { return filepath.Join(p.dir, dataName) }

// Addr is host:port.
func (p *Process) Addr() string { return p.port.Addr() }

// Port is the port of Addr.
func (p *Process) Port() int { return p.port.Number() }

// Dir is the directory that holds the configuration file, the log and the data. Close removes it,
// unless the options chose it.
func (p *Process) Dir() string { return p.dir }

// TLS is the certificates the process was started with, or nil.
func (p *Process) TLS() *TLS { return p.options.TLS }

// Pid is 0 while no process runs.
func (p *Process) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.runningLocked() {
		return 0
	}
	return p.run.pid
}

// Paused says whether there is a process, and Pause has stopped it.
func (p *Process) Paused() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runningLocked() && p.paused
}

// Running says whether there is a process, paused or not.
func (p *Process) Running() bool { return p.Pid() != 0 }

// Done is closed when the process that runs now has ended, whoever ended it. Without one it is
// closed already.
func (p *Process) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil {
		closed := make(chan struct{})
		close(closed)
		return closed
	}
	return p.run.exited
}

func (p *Process) runningLocked() bool { return p.run != nil && !p.run.hasExited() }

// Close kills the process, removes its directory and gives the port back. Closing twice does
// nothing; a closed Process cannot be started.
func (p *Process) Close() error {
	p.life.Lock()
	defer p.life.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	err := p.Kill()
	if p.port != nil {
		err = errors.Join(err, p.port.Release())
	}
	if p.options.Dir != "" {
		return err
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}

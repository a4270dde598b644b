package dev

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// state is what a run writes down for the case that it is killed: the processes and the directory that
// have to go.
type state struct {
	Version   int       `json:"version"`
	Pid       int       `json:"pid"` // of the run
	Dir       string    `json:"dir"`
	Temporary bool      `json:"temporary"` // the directory is ours, and goes with the run
	Processes []process `json:"processes"`
}

// process is one that was started. A number alone proves nothing: it may be another's by now. With the
// start of the process it does.
type process struct {
	Name  string `json:"name"`
	Pid   int    `json:"pid"`
	Start string `json:"start"` // as startOf says it
}

const (
	stateVersion = 1
	maxState     = 256 << 10 // bytes
	maxProcesses = 1000
)

var errState = errors.New("not a state file of evercache dev")

// parseState reads a state file. What it returns can be acted on: names, numbers and the path make sense.
func parseState(text []byte) (state, error) {
	var s state
	if len(text) > maxState {
		return s, fmt.Errorf("%w: %d bytes", errState, len(text))
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return state{}, fmt.Errorf("%w: %w", errState, err)
	}
	switch {
	case s.Version != stateVersion:
		return state{}, fmt.Errorf("%w: version %d", errState, s.Version)
	case s.Pid <= 1 || len(s.Processes) > maxProcesses:
		return state{}, fmt.Errorf("%w: process %d, %d processes", errState, s.Pid, len(s.Processes))
	case s.Dir != "" && (!filepath.IsAbs(s.Dir) || filepath.Clean(s.Dir) != s.Dir || filepath.Dir(s.Dir) == s.Dir):
		return state{}, fmt.Errorf("%w: its directory makes no sense", errState)
	}
	for _, p := range s.Processes {
		if !isName(p.Name) || p.Pid <= 1 || p.Start == "" || len(p.Start) > 128 {
			return state{}, fmt.Errorf("%w: a process that makes no sense", errState)
		}
	}
	return s, nil
}

func readState(file string) (state, error) {
	f, err := os.Open(file)
	if err != nil {
		return state{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err != nil {
		return state{}, err
	}
	return parseState(text)
}

// record keeps the state file of a run up to date. Its methods may be called from any goroutine.
type record struct {
	file string

	mu  sync.Mutex
	s   state
	err error // the first that writing had
}

func newRecord(file, dir string, temporary bool) (*record, error) {
	r := &record{file: file, s: state{Version: stateVersion, Pid: os.Getpid(), Dir: dir, Temporary: temporary, Processes: []process{}}}
	return r, r.write(r.s)
}

// add writes a process down, in place of the one that had its name before.
func (r *record) add(name string, pid int) {
	start, err := startOf(pid)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.s.Processes = slices.DeleteFunc(r.s.Processes, func(p process) bool { return p.Name == name })
	if err == nil { // else it has ended already
		r.s.Processes = append(r.s.Processes, process{name, pid, start})
	}
	if err := r.write(r.s); err != nil && r.err == nil {
		r.err = err
	}
}

func (r *record) fault() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// write replaces the file at once: a reader never sees half of it.
func (r *record) write(s state) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	next := r.file + ".next"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return fmt.Errorf("write down what runs: %w", err)
	}
	if err := os.Rename(next, r.file); err != nil {
		return fmt.Errorf("write down what runs: %w", err)
	}
	return nil
}

func (r *record) remove() error { return os.Remove(r.file) }

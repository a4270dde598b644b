package redisproc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// Kind is what a process is.
type Kind int

const (
	Server Kind = iota
	Sentinel
)

// String is the name of the program.
func (k Kind) String() string {
	if k == Sentinel {
		return "redis-sentinel"
	}
	return "redis-server"
}

// Environment variables that name the programs to run instead of those on PATH. A wrapper script
// must exec the program, or signals reach the script only.
const (
	ServerEnv   = "EVERCACHE_TEST_REDIS_SERVER"
	SentinelEnv = "EVERCACHE_TEST_REDIS_SENTINEL"
)

// ErrNoBinary means that there is no program to run; its text says what was looked for.
var ErrNoBinary = errors.New("no redis program found")

// Available is nil when a process of this kind can be started, else it wraps ErrNoBinary.
func Available(k Kind) error {
	_, err := find(k)
	return err
}

// command is a program and the arguments that go after the configuration file.
type command struct {
	path string
	args []string
}

// find looks at the kind's variable, then on PATH. A sentinel is the server program with
// --sentinel, so one variable or one program is enough for both, and their versions agree.
func find(k Kind) (command, error) {
	if !supported {
		return command{}, fmt.Errorf("%w: this system cannot run redis", ErrNoBinary)
	}
	sentinel := []string{"--sentinel"}
	if k == Server {
		return first(candidate{ServerEnv, nil, []string{"redis-server", "valkey-server"}})
	}
	return first(
		candidate{SentinelEnv, nil, nil},
		candidate{ServerEnv, sentinel, nil},
		candidate{"", nil, []string{"redis-sentinel", "valkey-sentinel"}},
		candidate{"", sentinel, []string{"redis-server", "valkey-server"}},
	)
}

// candidate is a place to look: the program that a variable names, else names on PATH.
type candidate struct {
	env   string
	args  []string
	names []string
}

// first returns the first program there is. A variable that is set and wrong is an error: running
// another program than the one asked for would test the wrong thing.
func first(places ...candidate) (command, error) {
	for _, c := range places {
		if named := os.Getenv(c.env); c.env != "" && named != "" {
			path, err := exec.LookPath(named)
			if err != nil {
				return command{}, fmt.Errorf("%w: %s=%s: %w", ErrNoBinary, c.env, named, err)
			}
			return command{path, c.args}, nil
		}
		for _, name := range c.names {
			if path, err := exec.LookPath(name); err == nil {
				return command{path, c.args}, nil
			}
		}
	}
	return command{}, fmt.Errorf("%w: neither redis-server nor valkey-server is on PATH, and %s is not set", ErrNoBinary, ServerEnv)
}

package redisproc

import (
	"errors"
	"fmt"
	"os"

	"github.com/evercache/evercache/internal/faultnet/loopback"
)

// Place is where one process lives, for a caller who has to know it beforehand. The zero value is a
// temporary directory and a free port.
type Place struct {
	// Dir is made if it is not there, and must be empty. Close leaves it as it is.
	Dir string
	// Port is the port of 127.0.0.1. A node of a Cluster takes the port 10000 above it too.
	Port int
	// Spawned is told the process id as soon as there is one: at each start, before the process
	// answers. The process leads a group of that number.
	Spawned func(pid int)
}

// Placement is the place of the i-th process of a kind.
type Placement func(k Kind, i int) Place

// at is the zero Place without a placement.
func (at Placement) at(k Kind, i int) Place {
	if at == nil {
		return Place{}
	}
	return at(k, i)
}

// directory makes the directory of a process.
func (pl Place) directory(k Kind) (string, error) {
	if pl.Dir == "" {
		return os.MkdirTemp("", k.String()+"-")
	}
	if err := os.MkdirAll(pl.Dir, 0o700); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(pl.Dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("the directory %s is not empty", pl.Dir)
	}
	return pl.Dir, err
}

// reserve holds the port, or any free one.
func (pl Place) reserve() (port, error) {
	if pl.Port == 0 {
		return reservePort()
	}
	p, err := loopback.Claim(pl.Port)
	if err != nil {
		return nil, inUse(pl.Port, err)
	}
	return p, nil
}

// reserveNode holds the two ports of a node of a Cluster.
func (pl Place) reserveNode() (port, error) {
	if pl.Port == 0 {
		return reserveNodePort()
	}
	p, err := loopback.ClaimPair(pl.Port, busDistance)
	if err != nil {
		return nil, inUse(pl.Port, err)
	}
	return p, nil
}

// ErrPort means that a port that was asked for cannot be had.
var ErrPort = errors.New("the port cannot be had")

func inUse(number int, err error) error {
	return fmt.Errorf("%w: %d: %w", ErrPort, number, err)
}

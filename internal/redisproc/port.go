package redisproc

import "github.com/evercache/evercache/internal/faultnet/loopback"

// port is a held port of 127.0.0.1; see package loopback for what holding means.
type port interface {
	Number() int
	Addr() string
	Release() error
}

func reservePort() (port, error) { return loopback.Reserve() }

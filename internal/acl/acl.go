// Package acl finds out which commands the ACL of a Redis server forbids. Each command is
// sent in a form that the server checks against the ACL and that changes nothing. The
// cache (internal/remote) and the denylist (revoke) ask for theirs with it.
package acl

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Words are a command with its keys in place: "K" stands for our own key, "N" for one
// that nobody makes.
func Words(command []string, own string) []string {
	words := slices.Clone(command)
	for i := range words[1:] {
		switch words[1+i] {
		case "K":
			words[1+i] = own
		case "N":
			words[1+i] = own + ":none"
		}
	}
	return words
}

// Forbids reports whether a reply says that the ACL forbids the command, and not its key.
func Forbids(reply string) bool {
	return strings.Contains(reply, "NOPERM") && strings.Contains(reply, "to run the")
}

// Cuts remembers at which commands a connection has ended. A proxy may end it at a
// command that it does not know, and would do so each time. A server that was killed at
// that moment does not. So a command is asked for once more on the next connection, and
// after a second end not for [Rest]. The zero value is ready, and nil remembers nothing.
type Cuts struct {
	mu  sync.Mutex // guards all
	all map[string]cut
}

// cut is a command whose question has no answer yet.
type cut struct {
	asked int // times in a row without an answer
	last  time.Time
}

// Rest is how long a command is not asked for after two connections have ended at it.
const Rest = 10 * time.Minute

// Begin reports whether to ask for these commands.
func (c *Cuts) Begin(now time.Time, commands ...string) bool {
	if c == nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, command := range commands {
		if one := c.all[command]; one.asked >= 2 && now.Sub(one.last) < Rest {
			return false
		}
	}
	if c.all == nil {
		c.all = map[string]cut{}
	}
	for _, command := range commands {
		c.all[command] = cut{c.all[command].asked + 1, now}
	}
	return true
}

// End notes that the connection has outlived the question.
func (c *Cuts) End(commands ...string) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, command := range commands {
		delete(c.all, command)
	}
}

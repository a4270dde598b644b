package dev

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Command is one order, from the keyboard or from another terminal.
type Command struct {
	Verb    string
	Targets []string // names of servers, or "master"
}

// The verbs.
const (
	verbKill         = "kill"
	verbStop         = "stop"
	verbStart        = "start"
	verbFailover     = "failover"
	verbRestartEmpty = "restart-empty"
	verbStatus       = "status"
	verbEnv          = "env"
	verbHelp         = "help"
	verbQuit         = "quit"
)

// verb says how an order is written.
type verb struct {
	name    string
	targets string // shown in the help
	least   int    // targets
	most    int
	help    string
}

// maxTargets bounds an order.
const maxTargets = 64

var verbs = []verb{
	{verbKill, "NODE...", 1, maxTargets, "end a server at once (SIGKILL)"},
	{verbStop, "NODE...", 1, maxTargets, "freeze a server (SIGSTOP): it answers nothing"},
	{verbStart, "[NODE...]", 0, maxTargets, "let a frozen server go on, start a dead one; or all"},
	{verbFailover, "[NODE]", 0, 1, "a planned failover; in a Cluster to NODE, a replica"},
	{verbRestartEmpty, "NODE...", 1, maxTargets, "end a server and start it again without its data"},
	{verbStatus, "", 0, 0, "show the servers"},
	{verbEnv, "", 0, 0, "print the environment"},
	{verbHelp, "", 0, 0, "this list"},
	{verbQuit, "", 0, 0, "end all servers and remove their files"},
}

var aliases = map[string]string{"exit": verbQuit, "q": verbQuit, "?": verbHelp, "cont": verbStart, "continue": verbStart}

// Help lists the orders.
func Help() string {
	var b strings.Builder
	for _, v := range verbs {
		fmt.Fprintf(&b, "  %-22s %s\n", strings.TrimSpace(v.name+" "+v.targets), v.help)
	}
	b.WriteString("NODE is a name such as redis-1 or sentinel-2, or master.\n")
	return b.String()
}

// maxLine bounds an order, in bytes.
const maxLine = 4096

// ErrCommand is what a line that is no order wraps.
var ErrCommand = errors.New("not an order")

// Parse reads an order. Its error wraps ErrCommand.
func Parse(line string) (Command, error) {
	if len(line) > maxLine {
		return Command{}, fmt.Errorf("%w: a line of %d bytes, at most %d are read", ErrCommand, len(line), maxLine)
	}
	words := strings.Fields(strings.ToLower(line))
	if len(words) == 0 {
		return Command{}, fmt.Errorf("%w: nothing was said; try help", ErrCommand)
	}
	name := words[0]
	if full, ok := aliases[name]; ok {
		name = full
	}
	i := slices.IndexFunc(verbs, func(v verb) bool { return v.name == name })
	if i < 0 {
		return Command{}, fmt.Errorf("%w: %.40q; orders are %s", ErrCommand, words[0], verbNames())
	}
	return verbs[i].command(words[1:])
}

func (v verb) command(targets []string) (Command, error) {
	switch {
	case len(targets) < v.least:
		return Command{}, fmt.Errorf("%w: %s what? Name a server, such as redis-1 or master", ErrCommand, v.name)
	case len(targets) > v.most && v.most == 0:
		return Command{}, fmt.Errorf("%w: %s takes no name, and %.40q was given", ErrCommand, v.name, targets[0])
	case len(targets) > v.most:
		return Command{}, fmt.Errorf("%w: %s takes at most %d names", ErrCommand, v.name, v.most)
	}
	for _, t := range targets {
		if !isName(t) {
			return Command{}, fmt.Errorf("%w: %.40q is no name of a server, such as redis-1, sentinel-2 or master", ErrCommand, t)
		}
	}
	if len(targets) == 0 {
		targets = nil
	}
	return Command{Verb: v.name, Targets: targets}, nil
}

func verbNames() string {
	var names []string
	for _, v := range verbs {
		names = append(names, v.name)
	}
	return strings.Join(names, ", ")
}

// String is the order as Parse reads it.
func (c Command) String() string { return strings.Join(append([]string{c.Verb}, c.Targets...), " ") }

// maxName bounds the name of a dev and of a server.
const maxName = 32

// isName reports whether s is [a-z0-9][a-z0-9_-]*, short enough for the name of a file.
func isName(s string) bool {
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || c != '-' && c != '_') {
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

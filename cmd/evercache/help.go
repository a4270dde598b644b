package main

import (
	"fmt"
	"io"
	"strings"
)

const helpText = `evercache is a cache that stays up when Redis doesn't.

Usage:
  evercache <command> [flags]

Commands:
%s
Settings come from the environment: REDIS_* says where Redis is, EVERCACHE_* how
to serve. Without any, evercache serves from memory on 127.0.0.1:3000 and uses a
Redis on localhost:6379 as soon as there is one.

Run 'evercache help <command>' for details.
`

func printHelp(w io.Writer) {
	var list strings.Builder
	for _, c := range commands() {
		list.WriteString(fmt.Sprintf("  %-12s %s\n", c.name, c.summary))
	}
	list.WriteString(fmt.Sprintf("  %-12s %s\n", "help", "Explain a command"))
	say(w, helpText, list.String())
}

func (c command) printHelp(w io.Writer) {
	say(w, "Usage:\n  evercache %s%s\n\n%s", c.name, c.usage, c.help)
}

// help explains evercache or one of its commands.
func help(inv invocation, args []string) int {
	switch len(args) {
	case 0:
		printHelp(inv.stdout)
		return exitOK
	case 1:
	default:
		say(inv.stderr, "evercache help: one command at a time\n")
		return exitUsage
	}
	if args[0] == "help" {
		printHelp(inv.stdout)
		return exitOK
	}
	c, ok := find(args[0])
	if !ok {
		return unknown(inv, args[0])
	}
	c.printHelp(inv.stdout)
	return exitOK
}

// unknown answers for a command that does not exist.
func unknown(inv invocation, name string) int {
	say(inv.stderr, "evercache: unknown command %.40q\n", name)
	if near, ok := nearest(name); ok {
		say(inv.stderr, "Did you mean 'evercache %s'?\n", near)
	}
	say(inv.stderr, "Run 'evercache help' for the list of commands.\n")
	return exitUsage
}

// nearest is the command that a misspelt name was probably meant to be: at most
// a third of its letters away, and not all of them.
func nearest(name string) (string, bool) {
	best, least := "", len(name)+1
	for _, c := range append(commands(), command{name: "help"}) {
		if d := distance(name, c.name); d < least {
			best, least = c.name, d
		}
	}
	return best, least <= min(len(name), max(1, len(best)/3))
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour that turn a into b.
func distance(a, b string) int {
	before, row := []int(nil), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			replace := row[j]
			if a[i] != b[j] {
				replace++
			}
			next[j+1] = min(replace, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}

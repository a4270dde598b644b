// Command evercache serves a cache over HTTP that stays up when Redis doesn't.
// evercache help lists what else it does.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// Exit statuses, of every command.
const (
	exitOK     = 0 // well
	exitFailed = 1 // it ran, and something is not well
	exitUsage  = 2 // wrong command line or configuration: repeating it is no use
)

func main() {
	os.Exit(run(os.Args[1:], invocation{environ: os.Environ(), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}))
}

// invocation is the world as a command sees it.
type invocation struct {
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// unread is how long a command waits for whoever reads what it prints.
const unread = 5 * time.Second

// say prints to a terminal or pipe. When nobody reads it there is nobody to tell,
// and the command ends with its status all the same.
func say(w io.Writer, format string, a ...any) { _ = deliver(w, fmt.Sprintf(format, a...)) }

// deliver is say for what a command is there for. The error says why it could not be
// written; that nobody reads it is none.
func deliver(w io.Writer, text string) error {
	written := make(chan error, 1)
	go func() { // a pipe that is full may hold it until the process ends
		_, err := io.WriteString(w, text)
		written <- err
	}()
	select {
	case err := <-written:
		if errors.Is(err, syscall.EPIPE) {
			return nil
		}
		return err
	case <-time.After(unread):
		return nil
	}
}

// command is one word after evercache.
type command struct {
	name    string
	summary string // one line for the list
	help    string // everything below the usage line
	usage   string // what may follow the name
	run     func(inv invocation, args []string) int
}

// commands lists them in the order of the help text.
func commands() []command {
	return []command{
		serveCommand(), devCommand(), statusCommand(), historyCommand(), doctorCommand(), switchoverCommand(), drillCommand(),
		inspectCommand(), backupCommand(), verifyCommand(), restoreCommand(), healthcheckCommand(), revokeCommand(),
		auditCommand(), completionCommand(), versionCommand(),
	}
}

// run finds the command and runs it.
func run(args []string, inv invocation) int {
	if len(args) == 0 {
		printHelp(inv.stderr)
		return exitUsage
	}
	name, rest := args[0], args[1:]
	switch name {
	case "help":
		return help(inv, rest)
	case "-h", "-help", "--help":
		return help(inv, nil)
	case "-v", "-version", "--version":
		name = "version"
	}
	c, ok := find(name)
	if !ok {
		return unknown(inv, name)
	}
	return c.run(inv, rest)
}

func find(name string) (command, bool) {
	for _, c := range commands() {
		if c.name == name {
			return c, true
		}
	}
	return command{}, false
}

// parse reads the flags of a command that takes no arguments. When it returns
// false the command is over, with the exit status given.
func (c command) parse(inv invocation, fs *flag.FlagSet, args []string) (status int, ok bool) {
	rest, status, ok := c.parseArgs(inv, fs, args)
	if ok && len(rest) > 0 {
		return c.wrong(inv, fmt.Errorf("unexpected argument %q", rest[0])), false
	}
	return status, ok
}

// parseArgs is parse for a command that takes arguments.
func (c command) parseArgs(inv invocation, fs *flag.FlagSet, args []string) (rest []string, status int, ok bool) {
	fs.Init(c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // the answers below are ours
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		c.printHelp(inv.stdout)
		return nil, exitOK, false
	case err != nil:
		return nil, c.wrong(inv, err), false
	}
	return fs.Args(), exitOK, true
}

func (c command) wrong(inv invocation, err error) (status int) {
	say(inv.stderr, "evercache %s: %v\nRun 'evercache %s --help' for usage.\n", c.name, err, c.name)
	return exitUsage
}

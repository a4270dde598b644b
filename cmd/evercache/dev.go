package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/evercache/evercache/internal/dev"
)

func devCommand() command {
	return command{
		name:    "dev",
		summary: "Run a Redis set on this machine, and break it",
		usage:   " [flags] | [--name NAME] kill|stop|start|failover|restart-empty|status|env|quit [NODE...]",
		help: `Without an order it starts a master, two replicas and three sentinels on loopback,
from the redis-server (or valkey-server) that is installed, and prints the
environment with which a program finds them. It shows who is master, live, and
takes orders from the keyboard. Ctrl-C ends all of it; nothing is left.

With an order it tells the set that runs in another terminal what to do.

Orders:
` + dev.Help() + `
Flags for the start:
  --cluster        a Redis Cluster of three masters with a replica each
  --standalone     one server
  --serve          run evercache serve on it too, at EVERCACHE_LISTEN (default
                   127.0.0.1:3000); EVERCACHE_* settings of this terminal count,
                   REDIS_* do not
  --masters N      of a Cluster, default 3
  --replicas N     default 2; in a Cluster 1 of each master
  --sentinels N    default 3
  --port N         port of redis-1; the others follow, the sentinels' are 20000
                   above; default: free ports
  --password       the servers ask for a password: made up, and kept in a file
  --tls            the servers speak TLS, with a certificate authority of their own
  --dir DIR        keep the files in DIR, which must be empty; default: a temporary
                   directory that is removed at the end
  --env-file FILE  write the environment to FILE too, as name=value lines
Flag for both:
  --name NAME      for several sets at once

Examples:
  evercache dev --serve
  evercache dev kill master
  evercache dev start
  eval "$(evercache dev env)"
  evercache dev --cluster --name shards
  evercache dev --name shards failover redis-5

Exit status: 0 ended as asked, or the order was carried out; 1 it could not be; 2
wrong flags or no such order.
`,
		run: devRun,
	}
}

func devRun(inv invocation, args []string) int {
	c := devCommand()
	var fs flag.FlagSet
	o := devFlags(&fs)
	rest, status, ok := c.parseArgs(inv, &fs, args)
	if !ok {
		return status
	}
	order := strings.Join(rest, " ")
	switch err := o.check(&fs, order); {
	case err != nil:
		return c.wrong(inv, err)
	case order != "":
		return devOrder(inv, o.Name, order)
	}
	o.Environ, o.Stdin, o.Stdout = inv.environ, os.Stdin, inv.stdout
	if out, ok := inv.stdout.(*os.File); ok {
		o.Terminal = dev.NewTerminal(os.Stdin, out, inv.environ)
	}
	ctx, stop := untilSignal()
	defer stop()
	err := dev.Run(ctx, o.Options)
	if _, wrong := errors.AsType[dev.OptionsError](err); wrong {
		return c.wrong(inv, err)
	}
	return devEnd(inv, err)
}

// devOptions are those of the command line.
type devOptions struct {
	dev.Options
	cluster, standalone, serve bool
}

func devFlags(fs *flag.FlagSet) *devOptions {
	var o devOptions
	fs.BoolVar(&o.cluster, "cluster", false, "")
	fs.BoolVar(&o.standalone, "standalone", false, "")
	fs.BoolVar(&o.serve, "serve", false, "")
	fs.IntVar(&o.Masters, "masters", 0, "")
	fs.IntVar(&o.Replicas, "replicas", 0, "")
	fs.IntVar(&o.Sentinels, "sentinels", 0, "")
	fs.IntVar(&o.Port, "port", 0, "")
	fs.BoolVar(&o.Password, "password", false, "")
	fs.BoolVar(&o.TLS, "tls", false, "")
	fs.StringVar(&o.Dir, "dir", "", "")
	fs.StringVar(&o.EnvFile, "env-file", "", "")
	fs.StringVar(&o.Name, "name", "default", "")
	return &o
}

// check makes options of flags that only say what is wanted, and refuses those that an order does not have.
func (o *devOptions) check(fs *flag.FlagSet, order string) (err error) {
	fs.Visit(func(f *flag.Flag) {
		if order != "" && f.Name != "name" {
			err = fmt.Errorf("--%s is for the start, and %.40q is an order to a set that runs", f.Name, order)
		}
	})
	switch {
	case o.cluster && o.standalone:
		err = errors.New("--cluster or --standalone, not both")
	case o.cluster:
		o.Mode = dev.Cluster
	case o.standalone:
		o.Mode = dev.Standalone
	}
	if o.serve {
		o.Serve = serveOnDev
	}
	return err
}

func devEnd(inv invocation, err error) int {
	if err == nil {
		return exitOK
	}
	say(inv.stderr, "evercache dev: %v\n", err)
	return exitFailed
}

// devOrder sends an order to the set that runs.
func devOrder(inv invocation, name, line string) int {
	order, err := dev.Parse(line)
	if err != nil {
		return devCommand().wrong(inv, err)
	}
	if order.Verb == "help" {
		say(inv.stdout, "%s", dev.Help())
		return exitOK
	}
	ctx, stop := untilSignal()
	defer stop()
	text, err := dev.Send(ctx, inv.environ, name, order)
	if text != "" {
		say(inv.stdout, "%s\n", strings.TrimSuffix(text, "\n"))
	}
	if errors.Is(err, dev.ErrCommand) {
		return devCommand().wrong(inv, err)
	}
	return devEnd(inv, err)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// network is three hosts, network namespaces with a server and a sentinel each:
// the first on one bridge with the libraries, the others on a far one, and a
// link between the bridges. A cut cable (a link set down) loses packets and
// resets nothing. It needs root and ip(8).
type network struct {
	id    string
	dir   string
	hosts []string // addresses
	undo  []func() error
}

const (
	subnet       = "10.213.79."
	serverPort   = ":6379"
	sentinelPort = ":26379"
	masterName   = "mymaster"
)

// inNamespaces starts the set on hosts of its own and cuts one cable.
func inNamespaces(cable func(*network) string) func(context.Context, time.Duration) (*scene, error) {
	return func(ctx context.Context, downAfter time.Duration) (*scene, error) {
		n := &network{id: fmt.Sprintf("%x", os.Getpid()%0xffff)}
		if err := n.start(ctx, downAfter); err != nil {
			return nil, errors.Join(fmt.Errorf("start a set in network namespaces: %w", err), n.close())
		}
		s := n.scene()
		s.inject = func(ctx context.Context) error { return ip(ctx, "link", "set", cable(n), "down") }
		s.heal = func(ctx context.Context) error { return ip(ctx, "link", "set", cable(n), "up") }
		return s, nil
	}
}

// firstCable is the one of the first host, the master's.
func (n *network) firstCable() string { return n.cable(0) }

// link is the one between the bridges.
func (n *network) link() string { return n.name("l") }

func (n *network) scene() *scene {
	s := &scene{masterName: masterName, close: n.close}
	for _, h := range n.hosts {
		s.nodes = append(s.nodes, h+serverPort)
		s.sentinels = append(s.sentinels, h+sentinelPort)
	}
	return s
}

func (n *network) start(ctx context.Context, downAfter time.Duration) (err error) {
	if n.dir, err = os.MkdirTemp("", "failover-"); err != nil {
		return err
	}
	n.later(func() error { return os.RemoveAll(n.dir) })
	if err := n.bridges(ctx); err != nil {
		return err
	}
	for i := range sentinels {
		bridge := n.name("f")
		if i == 0 {
			bridge = n.name("n")
		}
		if err := n.addHost(ctx, i, bridge); err != nil {
			return err
		}
	}
	for i := range n.hosts {
		if err := n.startServer(i); err != nil {
			return err
		}
	}
	if err := n.untilLinked(ctx); err != nil {
		return err
	}
	for i := range n.hosts {
		if err := n.startSentinel(i, downAfter); err != nil {
			return err
		}
	}
	return n.untilHealthy(ctx, n.scene())
}

// bridges makes the near and the far one, and the link between them.
func (n *network) bridges(ctx context.Context) error {
	near, far := n.name("n"), n.name("f")
	for _, bridge := range []string{near, far} {
		if err := n.add(ctx, []string{"link", "add", bridge, "type", "bridge"}, []string{"link", "del", bridge}); err != nil {
			return err
		}
		if err := ip(ctx, "link", "set", bridge, "up"); err != nil {
			return err
		}
	}
	end := n.name("m")
	if err := n.add(ctx, []string{"link", "add", n.link(), "type", "veth", "peer", "name", end}, []string{"link", "del", n.link()}); err != nil {
		return err
	}
	return errors.Join(
		ip(ctx, "link", "set", n.link(), "master", near, "up"),
		ip(ctx, "link", "set", end, "master", far, "up"),
		ip(ctx, "addr", "add", subnet+"1/24", "dev", near),
	)
}

// addHost makes a namespace with a cable to a bridge.
func (n *network) addHost(ctx context.Context, i int, bridge string) error {
	host, cable := n.name(fmt.Sprint("h", i)), n.cable(i)
	n.hosts = append(n.hosts, fmt.Sprint(subnet, 10+i))
	if err := n.add(ctx, []string{"netns", "add", host}, []string{"netns", "del", host}); err != nil {
		return err
	}
	return errors.Join(
		ip(ctx, "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", host),
		ip(ctx, "link", "set", cable, "master", bridge, "up"),
		ip(ctx, "-n", host, "addr", "add", n.hosts[i]+"/24", "dev", "eth0"),
		ip(ctx, "-n", host, "link", "set", "eth0", "up"),
		ip(ctx, "-n", host, "link", "set", "lo", "up"),
	)
}

func (n *network) name(part string) string { return "eb" + n.id + part }
func (n *network) cable(i int) string      { return n.name(fmt.Sprint("c", i)) }

// ip runs one ip(8) command.
func ip(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// add runs one ip(8) command, and another when all is over.
func (n *network) add(ctx context.Context, do, undo []string) error {
	if err := ip(ctx, do...); err != nil {
		return err
	}
	n.later(func() error { return ip(context.Background(), undo...) })
	return nil
}

func (n *network) later(undo func() error) { n.undo = append(n.undo, undo) }

// close undoes everything, the last first.
func (n *network) close() error {
	var errs []error
	for len(n.undo) > 0 {
		last := len(n.undo) - 1
		errs = append(errs, n.undo[last]())
		n.undo = n.undo[:last]
	}
	return errors.Join(errs...)
}

func (n *network) startServer(i int) error {
	conf := "port 6379\nprotected-mode no\nsave \"\"\nrepl-diskless-sync-delay 0\n"
	if i > 0 {
		conf += fmt.Sprintf("replicaof %s 6379\n", n.hosts[0])
	}
	return n.run(i, "redis-server", conf)
}

func (n *network) startSentinel(i int, downAfter time.Duration) error {
	return n.run(i, "redis-sentinel", fmt.Sprintf("port 26379\nprotected-mode no\nsentinel monitor %s %s 6379 %d\n"+
		"sentinel down-after-milliseconds %[1]s %[4]d\nsentinel failover-timeout %[1]s %[5]d\n",
		masterName, n.hosts[0], sentinels/2+1, downAfter.Milliseconds(), failoverTimeout.Milliseconds()))
}

// run starts a program on a host; close kills it, by its process.
func (n *network) run(i int, program, conf string) error {
	dir := filepath.Join(n.dir, fmt.Sprint(program, i))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	file := filepath.Join(dir, "conf")
	conf += fmt.Sprintf("bind %s\ndir %s\nlogfile %s\n", n.hosts[i], dir, filepath.Join(dir, "log"))
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return err
	}
	cmd := exec.Command("ip", "netns", "exec", n.name(fmt.Sprint("h", i)), program, file)
	if err := cmd.Start(); err != nil {
		return err
	}
	n.later(func() error {
		err := cmd.Process.Kill() // ip has become the program
		_ = cmd.Wait()
		return err
	})
	return nil
}

// untilLinked waits until the master has its replicas in sync.
func (n *network) untilLinked(ctx context.Context) error {
	return until(ctx, func() bool {
		reply := ask(ctx, n.hosts[0]+serverPort, "ROLE")
		if len(reply) < 3 {
			return false
		}
		linked, _ := reply[2].([]any)
		return len(linked) == replicas
	})
}

// untilHealthy waits until every sentinel knows the others and the replicas,
// which the sentinels hear of within a few seconds.
func (n *network) untilHealthy(ctx context.Context, s *scene) error {
	return until(ctx, func() bool {
		for _, addr := range s.sentinels {
			others, replicasSeen := ask(ctx, addr, "SENTINEL", "SENTINELS", masterName), ask(ctx, addr, "SENTINEL", "REPLICAS", masterName)
			if len(others) != sentinels-1 || len(replicasSeen) != replicas || strings.Count(fmt.Sprint(replicasSeen), "master-link-status ok") != replicas {
				return false
			}
		}
		return s.look(ctx).settled() != ""
	})
}

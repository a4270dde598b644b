package drill

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/slot"
	"github.com/evercache/evercache/internal/survey"
)

// plainTimeout is how long the plain client waits for an answer.
const plainTimeout = time.Second

// plain is a client as the guidelines for Sentinel and Cluster clients describe it: one connection to each master,
// which is looked for when the connection breaks or the server refuses. It repeats nothing and remembers nothing.
type plain struct {
	target survey.Target
	survey *survey.Survey
	prefix string
	ttl    string // ms

	mu     sync.Mutex
	links  map[string]*remote.Link // by the address of the master; guarded by mu, as is owners
	owners []owner                 // of slots; none outside a Cluster: the one link is for all
	// dialing lets one caller look for the master at a time.
	dialing sync.Mutex
}

type owner struct {
	slots slot.Range
	addr  string
}

func newPlain(t survey.Target, s *survey.Survey, id string, ttl time.Duration) *plain {
	return &plain{
		target: t, survey: s, prefix: t.KeyPrefix + class + ":" + id + ":plain:",
		ttl: strconv.FormatInt(ttl.Milliseconds(), 10), links: map[string]*remote.Link{},
	}
}

func (p *plain) full(k string) string        { return p.prefix + k }
func (p *plain) flush(context.Context) error { return nil }

func (p *plain) write(ctx context.Context, k string) (landed bool, err error) {
	_, err = p.do(ctx, k, "SET", p.full(k), value, "PX", p.ttl)
	return err == nil, err
}

func (p *plain) remove(ctx context.Context, k string) (landed bool, err error) {
	_, err = p.do(ctx, k, "DEL", p.full(k))
	return err == nil, err
}

func (p *plain) read(ctx context.Context, k string) (fromMemory bool, err error) {
	r, err := p.do(ctx, k, "GET", p.full(k))
	switch {
	case err != nil:
		return false, err
	case r.Value == nil:
		return false, errMissing
	case r.Text() != value:
		return false, errors.New("another value than was written")
	}
	return false, nil
}

// do sends one command, once.
func (p *plain) do(ctx context.Context, k string, words ...string) (remote.Reply, error) {
	addr, link, err := p.linkOf(ctx, p.full(k))
	if err != nil {
		return remote.Reply{}, err
	}
	replies, err := link.Ask(ctx, plainTimeout, words)
	if err == nil {
		err = replies[0].Err
	}
	if err != nil {
		p.drop(addr, link)
		return remote.Reply{}, err
	}
	return replies[0], nil
}

// linkOf is the connection to the master of a key. It is dialled where there is none.
func (p *plain) linkOf(ctx context.Context, key string) (string, *remote.Link, error) {
	if addr, link := p.known(key); link != nil {
		return addr, link, nil
	}
	p.dialing.Lock()
	defer p.dialing.Unlock()
	if addr, link := p.known(key); link != nil { // somebody else has found it meanwhile
		return addr, link, nil
	}
	ctx, cancel := context.WithTimeout(ctx, plainTimeout)
	defer cancel()
	if err := p.connect(ctx); err != nil {
		return "", nil, err
	}
	addr, link := p.known(key)
	if link == nil {
		return "", nil, fmt.Errorf("no master is known for slot %d", slot.Of(key))
	}
	return addr, link, nil
}

func (p *plain) known(key string) (string, *remote.Link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.target.Mode != health.ModeCluster {
		for addr, l := range p.links {
			return addr, l
		}
		return "", nil
	}
	s := slot.Of(key)
	for _, o := range p.owners {
		if o.slots.First <= s && s <= o.slots.Last {
			return o.addr, p.links[o.addr]
		}
	}
	return "", nil
}

// drop gives a connection up, so that the next call looks for the master.
func (p *plain) drop(addr string, link *remote.Link) {
	link.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.links[addr] == link {
		delete(p.links, addr)
	}
}

func (p *plain) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.links {
		l.Close()
	}
	clear(p.links)
}

// connect finds the masters and connects to those that there is no connection to.
func (p *plain) connect(ctx context.Context) error {
	switch p.target.Mode {
	case health.ModeSentinel:
		return p.connectSet(ctx)
	case health.ModeCluster:
		return p.connectCluster(ctx)
	}
	return p.dial(ctx, p.survey.Nodes[0].Addr)
}

// connectSet asks the sentinels in turn, and checks with ROLE.
func (p *plain) connectSet(ctx context.Context) error {
	var errs []error
	for _, s := range p.survey.Sentinels {
		addr, err := p.named(ctx, s)
		if err == nil {
			return p.dial(ctx, addr)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (p *plain) named(ctx context.Context, s survey.Sentinel) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	link, err := p.target.ConnectSentinel(ctx, s)
	if err != nil {
		return "", err
	}
	defer link.Close()
	r, err := link.Ask(ctx, plainTimeout, []string{"SENTINEL", "GET-MASTER-ADDR-BY-NAME", p.target.MasterName})
	if err != nil {
		return "", err
	}
	words, _ := r[0].Value.([]any)
	if len(words) != 2 {
		return "", fmt.Errorf("sentinel %s names no master", s.Addr)
	}
	return net.JoinHostPort(fmt.Sprint(words[0]), fmt.Sprint(words[1])), nil
}

// dial connects to a master. Only servers that the survey has found are connected to.
func (p *plain) dial(ctx context.Context, addr string) error {
	n := p.survey.Node(addr)
	if n == nil {
		return fmt.Errorf("%s is not a server of the set", addr)
	}
	link, err := p.target.ConnectNode(ctx, *n)
	if err != nil {
		return err
	}
	r, err := link.Ask(ctx, plainTimeout, []string{"ROLE"})
	if err == nil {
		words, _ := r[0].Value.([]any)
		if len(words) == 0 || words[0] != "master" {
			err = fmt.Errorf("%s is no master", addr)
		}
	}
	if err != nil {
		link.Close()
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if old := p.links[addr]; old != nil {
		old.Close()
	}
	p.links[addr] = link
	return nil
}

// connectCluster asks the nodes in turn who owns the slots.
func (p *plain) connectCluster(ctx context.Context) error {
	var errs []error
	for _, n := range p.survey.Nodes {
		owners, err := p.ownersAt(ctx, n)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p.mu.Lock()
		p.owners = owners
		p.mu.Unlock()
		return p.dialOwners(ctx, owners)
	}
	return errors.Join(errs...)
}

// dialOwners connects to those that there is no connection to. It fails only where none can be reached.
func (p *plain) dialOwners(ctx context.Context, owners []owner) error {
	var errs []error
	reached := false
	var addrs []string
	for _, o := range owners {
		addrs = append(addrs, o.addr)
	}
	slices.Sort(addrs)
	for _, addr := range slices.Compact(addrs) {
		p.mu.Lock()
		has := p.links[addr] != nil
		p.mu.Unlock()
		if !has {
			if err := p.dial(ctx, addr); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		reached = true
	}
	if reached {
		return nil
	}
	return errors.Join(errs...)
}

func (p *plain) ownersAt(ctx context.Context, n survey.Node) ([]owner, error) {
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	link, err := p.target.ConnectNode(ctx, n)
	if err != nil {
		return nil, err
	}
	defer link.Close()
	r, err := link.Ask(ctx, plainTimeout, []string{"CLUSTER", "NODES"})
	if err != nil {
		return nil, err
	}
	nodes, err := cluster.ParseNodes(strings.TrimPrefix(r[0].Text(), "txt:"))
	if err != nil {
		return nil, errors.Join(err, r[0].Err)
	}
	return ownersOf(nodes), nil
}

// ownersOf are the masters that a node lists, with their slots.
func ownersOf(nodes cluster.Nodes) (all []owner) {
	for _, l := range nodes.Lines {
		if !l.Flags.Has(cluster.FlagMaster) || l.Flags.Has(cluster.FlagFailed) {
			continue
		}
		for _, r := range l.Slots {
			all = append(all, owner{r, l.Addr.String()})
		}
	}
	return all
}

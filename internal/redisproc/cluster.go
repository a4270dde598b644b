package redisproc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Cluster is the nodes of a Redis Cluster. Which of them are masters, and of which slots, changes; the nodes
// are those it was started with, dead or alive. It owns them: Close ends them. Its methods may be called from
// any goroutine.
type Cluster struct {
	options ClusterOptions
	nodes   []*Process

	mu  sync.Mutex
	ids map[*Process]string // as each node called itself last; guarded by mu
}

// StartCluster starts a cluster and returns when it is healthy, as WaitHealthy says it. It needs a little
// more than two seconds: a master serves nothing in its first two seconds.
func StartCluster(ctx context.Context, o ClusterOptions) (*Cluster, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("start a cluster: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, o.StartTimeout)
	defer cancel()
	c := &Cluster{options: o, ids: map[*Process]string{}}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start a cluster: %w", err), c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	nodes, errs := make([]*Process, c.options.nodes()), make([]error, c.options.nodes())
	var wg sync.WaitGroup
	for i := range nodes {
		wg.Go(func() {
			if nodes[i], errs[i] = Start(ctx, c.options.node(i)); errs[i] == nil {
				errs[i] = c.options.announce(ctx, nodes[i])
			}
		})
	}
	wg.Wait()
	c.nodes = slices.DeleteFunc(nodes, func(p *Process) bool { return p == nil })
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return c.form(ctx)
}

// Nodes are the nodes: first those that were masters at the start, in the order of their slots, then the
// replicas, one of each master, then another one of each.
func (c *Cluster) Nodes() []*Process { return slices.Clone(c.nodes) }

// Close ends every process.
func (c *Cluster) Close() error { return closeAll(c.nodes) }

// each does something with every node at once.
func each(nodes []*Process, do func(int, *Process) error) error {
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, p := range nodes {
		wg.Go(func() { errs[i] = do(i, p) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// id is the name by which the cluster knows a node; of a dead node the last that was heard.
func (c *Cluster) id(ctx context.Context, p *Process) (string, error) {
	reply, err := p.Do(ctx, "CLUSTER", "MYID")
	if id, ok := reply.(string); ok && err == nil {
		c.learn(p, id)
		return id, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if id := c.ids[p]; id != "" {
		return id, nil
	}
	return "", errors.Join(fmt.Errorf("the id of node %s is not known", p.Addr()), err)
}

func (c *Cluster) learn(p *Process, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids[p] = id
}

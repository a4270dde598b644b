package chaos

import (
	"context"
	"sync"
	"time"
)

// Truth asks every node what it is, again and again, and notes each change.
type Truth struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex // guards changes
	changes []Role
}

// Role is the moment from which a node has answered ROLE differently.
type Role struct {
	Node   string
	Master bool
	At     time.Time
}

const (
	askEvery = 2 * time.Millisecond
	askLimit = 200 * time.Millisecond
)

// Watch begins to ask; Stop ends it.
func Watch(nodes ...Node) *Truth {
	ctx, cancel := context.WithCancel(context.Background())
	t := &Truth{cancel: cancel}
	for _, n := range nodes {
		t.wg.Go(func() { t.watch(ctx, n) })
	}
	return t
}

// Stop ends the asking.
func (t *Truth) Stop() {
	t.cancel()
	t.wg.Wait()
}

func (t *Truth) watch(ctx context.Context, n Node) {
	var c *conn
	said := ""
	for ctx.Err() == nil {
		if c == nil {
			bounded, cancel := context.WithTimeout(ctx, askLimit)
			c, _ = n.dial(bounded)
			cancel()
		}
		if c != nil {
			role, err := c.role()
			if err != nil {
				c.Close()
				c = nil
			} else if role != said {
				said = role
				t.note(Role{Node: n.Addr, Master: role == "master", At: time.Now()})
			}
		}
		select {
		case <-time.After(askEvery):
		case <-ctx.Done():
		}
	}
	if c != nil {
		c.Close()
	}
}

func (c *conn) role() (string, error) {
	replies, err := c.ask(askLimit, []string{"ROLE"})
	if err != nil {
		return "", err
	}
	list, _ := replies[0].([]any)
	if len(list) == 0 {
		return "", nil
	}
	role, _ := list[0].(string)
	return role, nil
}

func (t *Truth) note(r Role) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changes = append(t.changes, r)
}

// Changes are the changes so far, oldest first.
func (t *Truth) Changes() []Role {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Role(nil), t.changes...)
}

// Promoted is when a node other than not first answered as a master after a
// moment. An old master that comes back answers so too: name the one meant with
// node, or leave it empty.
func (t *Truth) Promoted(after time.Time, node, not string) (Role, bool) {
	for _, r := range t.Changes() {
		if r.Master && r.At.After(after) && r.Node != not && (node == "" || r.Node == node) {
			return r, true
		}
	}
	return Role{}, false
}

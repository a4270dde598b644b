package revoke

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/kit"
	"github.com/evercache/evercache/redistest"
)

// turning has one master, and then another.
type turning struct {
	kit.Kit
	now     atomic.Pointer[turn]
	changed chan struct{}
}

func (k *turning) Master() (kit.Master, <-chan struct{}) { return k.now.Load(), k.changed }

// turn is a master that does something when entries are added to it.
type turn struct {
	kit.Master
	asked func()
}

func (m *turn) Do(ctx context.Context, limit time.Duration, commands ...[]string) ([]kit.Reply, error) {
	replies, err := m.Master.Do(ctx, limit, commands...)
	if commands[0][1] == addScript.sum || commands[0][1] == addScript.text {
		m.asked()
	}
	return replies, err
}

// What a former master takes when there is another may come after what was put back
// there: the others would not wait for it any more. So it is taken by none.
func TestWhatAFormerMasterTakesIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	s := reader(t, redistest.Start(t))
	k := &turning{Kit: s.kit, changed: make(chan struct{})}
	s.kit = k
	hold, held := make(chan struct{}), make(chan struct{}, 10)
	second := &turn{s.m, func() { held <- struct{}{}; <-hold }}
	k.now.Store(&turn{s.m, func() { k.now.Store(second) }})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := s.own.add(entry{key: key{1}, exp: uint32(time.Now().Add(time.Hour).Unix())}, nil, false)
	done := make(chan struct{})
	go func() { defer close(done); s.send(ctx) }()
	select {
	case <-held:
	case <-time.After(30 * time.Second):
		t.Error("it is not sent to the second one")
	}
	select {
	case <-o.taken:
		t.Error("acknowledged by the former one")
	default:
	}
	close(hold)
	select {
	case <-o.taken:
	case <-time.After(30 * time.Second):
		t.Error("not acknowledged by the second one")
	}
	if got := s.peersNow(t); !strings.HasPrefix(got[s.name], away) {
		t.Errorf("the others do not know of it: %q", got)
	}
	if m := s.own.where(o); m != kit.Master(second) {
		t.Errorf("taken by %v", m)
	}
	cancel()
	<-done
}

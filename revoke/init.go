package revoke

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/kit"
)

// Init says that the set in Redis is complete: on first use, or when it is known
// that nothing of value was in it when Redis lost it. It waits for a master until
// ctx ends. Of the policy it wants the Namespace and the Key. It reports whether
// the set said so already, of the data that Redis has had since its last start.
func Init(ctx context.Context, client *evercache.Client, p Policy) (already bool, err error) {
	p = p.withDefaults()
	if err := p.validate(); err != nil {
		return false, fmt.Errorf("revoke: wrong policy:\n%w", err)
	}
	k := kit.Of(client)
	keys := newKeys(k.KeyPrefix(), p.Namespace)
	k = k.At(keys.set)
	if k.MemoryOnly() {
		return false, errors.New("revoke: a MemoryOnly client has no Redis to mark")
	}
	m, err := awaitMaster(ctx, k)
	if err != nil {
		return false, err
	}
	replies, err := m.Do(ctx, k.WriteTimeout(), []string{"INFO", "server"}, []string{"INFO", "replication"},
		[]string{"ZRANGEBYSCORE", keys.set, "+inf", "+inf"})
	if err != nil {
		return false, fmt.Errorf("revoke: init: %w", err)
	}
	life := ""
	if len(replies) == 3 {
		life = lifeOf(text(replies[0].Value), text(replies[1].Value))
	}
	mark := marker{newHasher(p.Namespace, p.Key).print(), life}
	if len(replies) == 3 {
		already = slices.Contains(texts(replies[2].Value), mark.member())
	}
	v, err := keys.run(ctx, m.Do, k.WriteTimeout(), markScript, mark.member(), markerHead+mark.print+":", "", "0")
	if err != nil {
		return false, fmt.Errorf("revoke: init: %w", err)
	}
	if number(v) != 1 {
		return false, errors.New("revoke: init: the list is in use with another key")
	}
	return already, nil
}

func awaitMaster(ctx context.Context, k kit.Kit) (kit.Master, error) {
	for {
		m, changed := k.Master()
		if m != nil {
			return m, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("revoke: no master: %w", context.Cause(ctx))
		}
	}
}

package revoke

import (
	"context"
	"errors"
	"fmt"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/kit"
)

// Init says that the set in Redis is complete: on first use, or when it is known
// that nothing of value was in it when Redis lost it. It waits for a master until
// ctx ends. Of the policy it wants the Namespace and the Key.
func Init(ctx context.Context, client *evercache.Client, p Policy) error {
	p = p.withDefaults()
	if err := p.validate(); err != nil {
		return fmt.Errorf("revoke: wrong policy:\n%w", err)
	}
	k := kit.Of(client)
	if k.MemoryOnly() {
		return errors.New("revoke: a MemoryOnly client has no Redis to mark")
	}
	m, err := awaitMaster(ctx, k)
	if err != nil {
		return err
	}
	replies, err := m.Do(ctx, k.WriteTimeout(), []string{"INFO", "server"}, []string{"INFO", "replication"})
	if err != nil {
		return fmt.Errorf("revoke: init: %w", err)
	}
	life := ""
	if len(replies) == 2 {
		life = lifeOf(text(replies[0].Value), text(replies[1].Value))
	}
	mark := marker{newHasher(p.Namespace, p.Key).print(), life}
	v, err := newKeys(k.KeyPrefix(), p.Namespace).run(ctx, m.Do, k.WriteTimeout(), markScript,
		mark.member(), markerHead+mark.print+":", "", "0")
	if err != nil {
		return fmt.Errorf("revoke: init: %w", err)
	}
	if number(v) != 1 {
		return errors.New("revoke: init: the list is in use with another key")
	}
	return nil
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

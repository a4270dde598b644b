package revoke

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/kit"
)

// session reads the list from one master over a connection of its own.
type session struct {
	*List
	m     kit.Master
	link  kit.Link
	print string // of our secret
	life  string // of the dataset; "" where the ACL forbids to ask

	began    time.Time
	since    time.Time // when this began, or something was lost
	whole    bool      // the server has no EVALSHA
	complete bool      // the set was marked before the snapshot was taken
	claim    string    // of the snapshot; "": there is none
	repaired bool      // the claim was for something that was taken out
	reading  uint32    // the number of the snapshot
	id       string    // of the last entry of the stream that was read
	seq      int64     // its number

	peers   map[string]string // what the last look said of the processes of the list
	state   string            // names that
	joined  string            // what this process entered for itself, before the snapshot
	met     bool              // nobody is waited for, or not any more
	givenUp []string          // members of those that were waited for in vain
	lives   map[string]bool   // of the dataset, that peers have named
	told    string            // the last event about them
}

// attach finds out whose data this is, and what may be done with it.
func (s *session) attach(ctx context.Context) error {
	if err := s.identify(ctx); err != nil {
		return err
	}
	s.askRights(ctx)
	return nil
}

// identify finds out whose data this is. A master that gets its first replica gives
// it another name: who went on under the old one would be at odds with who came
// later, and each would mark the set in turn.
func (s *session) identify(ctx context.Context) error {
	infos := [][]string{{"INFO", "server"}, {"INFO", "replication"}, {"INFO", "memory"}}
	of := func(ask asker) (string, error) {
		replies, err := ask(ctx, s.patience(), infos...)
		if err != nil {
			return "", err
		}
		if len(replies) != len(infos) {
			return "", errReply
		}
		s.notes.memory(text(replies[2].Value))
		return lifeOf(text(replies[0].Value), text(replies[1].Value)), nil
	}
	theirs, err := of(s.m.Do)
	if err != nil {
		return err
	}
	was := s.life
	if s.life, err = of(s.link.Ask); err != nil {
		return err
	}
	if s.life != theirs {
		return errOther // it was restarted between the two
	}
	if was != "" && was != s.life {
		s.since = time.Now()
	}
	return nil
}

// lifeOf names the life of a dataset: another after each start of the server and
// each change of its role.
func lifeOf(server, replication string) string {
	run, repl := infoField(server, "run_id"), infoField(replication, "master_replid")
	if run == "" || repl == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(run + "/" + repl))
	return hex.EncodeToString(sum[:10])
}

func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// patience bounds one question: a snapshot's pieces are larger than a cache's reads.
func (s *session) patience() time.Duration {
	return max(s.kit.ReadTimeout(), s.kit.WriteTimeout(), time.Second)
}

func (s *session) look(ctx context.Context) (look, error) {
	v, err := s.keys.run(ctx, s.link.Ask, s.patience(), lookScript)
	if err != nil {
		return look{}, err
	}
	return parseLook(v)
}

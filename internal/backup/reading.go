package backup

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
	"github.com/evercache/evercache/internal/slot"
	"github.com/evercache/evercache/internal/survey"
)

const (
	dialLimit = 5 * time.Second
	// answerLimit is how long an answer may take beside the time for its bytes.
	answerLimit = 5 * time.Second
	slowestLink = 256 << 10 // bytes per second that a link has at least

	maxLists = 64 // denylists
)

// timeFor is how long a question may take whose bytes, both ways, are about so many.
func timeFor(bytes int64) time.Duration {
	return answerLimit + time.Duration(bytes)*time.Second/slowestLink
}

// reading copies the keys of one server.
type reading struct {
	o    Options
	f    filter
	link *remote.Link
	node *survey.Node
	from int64 // what the replication stream must have reached
	w    *Writer

	begunWith bool
	loaded    int64 // keys of the last dataset that it was filled with
	relative  bool  // the server has no PEXPIRETIME (before 7.0)
	section   Section
	begun     bool
	lists     []string  // denylists that were seen
	gone      *slot.Set // slots of keys that were on the move
	tooLarge  int64
	tell      func(r Record)
}

// run copies all keys of the server into a section.
func (r *reading) run(ctx context.Context) error {
	if err := r.greet(ctx); err != nil {
		return err
	}
	for cursor := "0"; ; {
		keys, next, err := r.scan(ctx, cursor)
		if err != nil {
			return err
		}
		for part := range slices.Chunk(keys, r.o.atOnce()) { // SCAN may answer with more than it was asked for
			if r.o.limit != nil && r.o.limit.WaitN(ctx, len(part)) != nil {
				return errInterrupted
			}
			if err := r.copy(ctx, part); err != nil {
				return err
			}
		}
		if cursor = next; cursor == "0" {
			break
		}
	}
	for _, list := range r.lists {
		if err := r.together(ctx, denylistKeys(list)); err != nil {
			return err
		}
	}
	return r.finish(ctx)
}

// greet asks what the server is at the beginning.
func (r *reading) greet(ctx context.Context) error {
	if r.f.slots != nil {
		if _, err := r.ask(ctx, 0, []string{"READONLY"}); err != nil {
			return err
		}
	}
	repl, err := r.caughtUp(ctx)
	if err != nil {
		return err
	}
	began, err := r.now(ctx)
	if err != nil {
		return err
	}
	r.section = Section{
		RedisVersion: r.node.Info["redis_version"], RunID: fmt.Sprint(repl.RunID), ReplicationID: fmt.Sprint(repl.ReplID),
		Offset: repl.Offset, Replica: repl.Role == sentinel.RoleReplica, Began: began,
	}
	if r.f.slots != nil {
		r.section.Slots = r.f.slots.String()
	}
	replies, err := r.link.Once(ctx, answerLimit, []string{"PEXPIRETIME", r.o.KeyPrefix + "~restore:"})
	if err != nil {
		return err
	}
	r.relative = remote.KindOf(replies[0].Err) == remote.Lacks
	return nil
}

// catchUp is how long a replica may take to get to where its master was.
const catchUp = 30 * time.Second

// caughtUp waits until the server has what the master had when it was looked at: a backup
// has all that was acknowledged before it began.
func (r *reading) caughtUp(ctx context.Context) (sentinel.Replication, error) {
	for began := time.Now(); ; {
		repl, err := r.replication(ctx)
		switch {
		case err != nil || repl.Role == sentinel.RoleMaster || repl.Offset >= r.from:
			return repl, err
		case time.Since(began) > catchUp:
			return repl, fmt.Errorf("%s is %d bytes behind its master, and has not caught up in %v", r.node.Addr, r.from-repl.Offset, catchUp)
		}
		if remote.Pause(ctx, 20*time.Millisecond) != nil {
			return repl, errInterrupted
		}
	}
}

func (r *reading) now(ctx context.Context) (time.Time, error) {
	replies, err := r.ask(ctx, 0, []string{"TIME"})
	if err != nil {
		return time.Time{}, err
	}
	ms, ok := millis(replies[0].Value)
	if !ok {
		return time.Time{}, fmt.Errorf("%s does not tell the time", r.node.Addr)
	}
	return time.UnixMilli(ms).UTC(), nil
}

// millis reads the answer to TIME.
func millis(v any) (ms int64, ok bool) {
	words, _ := v.([]any)
	if len(words) != 2 {
		return 0, false
	}
	sec, err := strconv.ParseInt(fmt.Sprint(words[0]), 10, 64)
	micro, err2 := strconv.ParseInt(fmt.Sprint(words[1]), 10, 64)
	return sec*1000 + micro/1000, err == nil && err2 == nil && sec > 0 && sec < maxExpire/1000
}

// replication asks for the server's role. A replica must have its link up: else it is older
// than it looks.
func (r *reading) replication(ctx context.Context) (sentinel.Replication, error) {
	replies, err := r.ask(ctx, 0, []string{"INFO"})
	if err != nil {
		return sentinel.Replication{}, err
	}
	repl, err := sentinel.ParseReplication(strings.TrimPrefix(replies[0].Text(), "txt:"))
	if err != nil {
		return repl, err
	}
	if !r.begunWith {
		r.begunWith, r.loaded = true, loadedKeys(replies[0].Text())
	} else if r.loaded != loadedKeys(replies[0].Text()) {
		return repl, refilled(r.node.Addr)
	}
	if repl.Role == sentinel.RoleReplica && !repl.LinkUp && r.o.mode != health.ModeStandalone {
		return repl, fmt.Errorf("%s has lost its master", r.node.Addr)
	}
	return repl, nil
}

// ask sends commands together. bytes is about how many the answers have. An error reply is
// an error.
func (r *reading) ask(ctx context.Context, bytes int64, commands ...[]string) ([]remote.Reply, error) {
	replies, err := r.link.Once(ctx, timeFor(bytes), commands...)
	if err != nil {
		return nil, err
	}
	for i, reply := range replies {
		if reply.Err != nil {
			return nil, r.refused(commands[i], reply.Err)
		}
	}
	return replies, nil
}

func (r *reading) refused(command []string, err error) error {
	if remote.KindOf(err) == remote.NoPerm || remote.KindOf(err) == remote.Lacks {
		return &refusal{fmt.Errorf("%s refuses %s: %w; a backup needs the rights +scan +dump +pexpiretime +pttl +memory|usage +multi +exec +info +time on all keys", r.node.Addr, command[0], err)}
	}
	return fmt.Errorf("%s: %s: %w", r.node.Addr, command[0], err)
}

// refusal is an error that does not pass by asking again.
type refusal struct{ error }

func (r *refusal) Unwrap() error { return r.error }

// scan asks for the next keys.
func (r *reading) scan(ctx context.Context, cursor string) (keys []string, next string, err error) {
	command := []string{"SCAN", cursor, "COUNT", strconv.Itoa(r.o.atOnce())}
	if p := pattern(r.o); p != "" {
		command = append(command, "MATCH", p)
	}
	replies, err := r.ask(ctx, batchBytes, command)
	if err != nil {
		return nil, "", err
	}
	answer, _ := replies[0].Value.([]any)
	if len(answer) != 2 {
		return nil, "", fmt.Errorf("%s answers SCAN with something else", r.node.Addr)
	}
	list, _ := answer[1].([]any)
	for _, k := range list {
		key, _ := k.(string)
		switch of := denylist(key); {
		case !r.f.takes(key):
		case slices.Contains(r.lists, of):
		case of != "" && len(r.lists) < maxLists: // more are read key by key
			r.lists = append(r.lists, of)
		case len(key) > MaxKey:
			r.tooLarge++
		default:
			keys = append(keys, key)
		}
	}
	return keys, fmt.Sprint(answer[0]), nil
}

// copy writes what keys hold. First it asks how large they are: a batch is bounded in
// bytes, and what is too large is left out.
func (r *reading) copy(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	questions := make([][]string, len(keys))
	for i, k := range keys {
		questions[i] = []string{"MEMORY", "USAGE", k}
	}
	replies, err := r.link.Once(ctx, timeFor(0), questions...)
	if err != nil {
		return err
	}
	var batch []string
	bytes := int64(0)
	for i, reply := range replies {
		if unserved(reply.Err) {
			r.gone.Add(slot.Of(keys[i]))
			continue
		}
		if reply.Err != nil {
			return r.refused(questions[i], reply.Err)
		}
		size, is := reply.Value.(int64)
		switch {
		case !is: // it has ended
			continue
		case size > r.o.maxValue():
			r.tooLarge++
			continue
		}
		if bytes+size > batchBytes && len(batch) > 0 {
			if err := r.dump(ctx, batch, bytes); err != nil {
				return err
			}
			batch, bytes = batch[:0], 0
		}
		batch, bytes = append(batch, keys[i]), bytes+size
	}
	return r.dump(ctx, batch, bytes)
}

// unserved: the key's slot is on its way to another node.
func unserved(err error) bool {
	k := remote.KindOf(err)
	return k == remote.Moved || k == remote.Ask || k == remote.TryAgain
}

// expiry is the question for the end of a key: an absolute one, or, before Redis 7, the
// time and how long is left.
func (r *reading) expiry(key string) [][]string {
	if r.relative {
		return [][]string{{"TIME"}, {"PTTL", key}}
	}
	return [][]string{{"PEXPIRETIME", key}}
}

// dump asks for the values. End and value of a key are of one moment: a transaction.
func (r *reading) dump(ctx context.Context, keys []string, bytes int64) error {
	if len(keys) == 0 {
		return nil
	}
	var commands [][]string
	for _, k := range keys {
		commands = append(append(append(commands, []string{"MULTI"}), r.expiry(k)...), []string{"DUMP", k}, []string{"EXEC"})
	}
	replies, err := r.link.Once(ctx, timeFor(bytes), commands...)
	if err != nil {
		return err
	}
	each := len(replies) / len(keys)
	for i, k := range keys {
		if err := r.take(keys[i:i+1], commands[i*each:(i+1)*each], replies[i*each:(i+1)*each]); err != nil {
			return fmt.Errorf("%w (slot %d)", err, slot.Of(k))
		}
	}
	return nil
}

// together reads keys that have to be of one moment.
func (r *reading) together(ctx context.Context, keys []string) error {
	commands := [][]string{{"MULTI"}}
	for _, k := range keys {
		commands = append(append(commands, r.expiry(k)...), []string{"DUMP", k})
	}
	commands = append(commands, []string{"EXEC"})
	replies, err := r.link.Once(ctx, timeFor(r.o.maxValue()), commands...)
	if err != nil {
		return err
	}
	return r.take(keys, commands, replies)
}

// take writes the answers of a transaction over keys.
func (r *reading) take(keys []string, commands [][]string, replies []remote.Reply) error {
	for i, reply := range replies {
		if unserved(reply.Err) {
			r.gone.Add(slot.Of(keys[0]))
			return nil
		}
		if reply.Err != nil {
			return r.refused(commands[i], reply.Err)
		}
	}
	answers, _ := replies[len(replies)-1].Value.([]any)
	each := len(r.expiry("")) + 1
	if len(answers) != each*len(keys) {
		return fmt.Errorf("%s answers EXEC with something else", r.node.Addr)
	}
	for i, k := range keys {
		rec, is, err := r.record(k, answers[i*each:(i+1)*each])
		if err == nil && is {
			err = r.write(rec)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// record is what the answers about a key say; is is false when there is none any more.
func (r *reading) record(key string, answers []any) (rec Record, is bool, err error) {
	payload, is := answers[len(answers)-1].(string)
	left, number := answers[len(answers)-2].(int64)
	if !is || left == -2 {
		return Record{}, false, nil
	}
	if len(payload) > MaxPayload || len(payload) < payloadTail || !number || left < -1 {
		return Record{}, false, fmt.Errorf("%s answers DUMP with something else", r.node.Addr)
	}
	rec = Record{Key: key, Payload: []byte(payload)}
	if left == -1 {
		return rec, true, nil
	}
	rec.ExpireAt = left
	if r.relative {
		now, ok := millis(answers[0])
		if !ok {
			return Record{}, false, fmt.Errorf("%s does not tell the time", r.node.Addr)
		}
		rec.ExpireAt = now + left
	}
	return rec, true, nil
}

func (r *reading) write(rec Record) error {
	if !r.begun {
		r.section.RDBVersion = rec.RDBVersion()
		if err := r.begin(); err != nil {
			return err
		}
	}
	if err := r.w.Record(rec); err != nil {
		return &writeError{err}
	}
	r.tell(rec)
	return nil
}

func (r *reading) begin() error {
	r.begun = true
	if err := r.w.Section(r.section); err != nil {
		return &writeError{err}
	}
	return nil
}

// writeError means that the file could not be written.
type writeError struct{ err error }

func (e *writeError) Error() string { return "write the file: " + e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

// loadedKeys is how many keys the server had in the dataset that it was filled with last, at
// its start or by its master.
func loadedKeys(info string) int64 { return infoNumber(info, "rdb_last_load_keys_loaded") }

// refilled: a cursor of SCAN says nothing in another dataset, so keys may be missing.
func refilled(addr string) error {
	return fmt.Errorf("%s was filled anew by its master meanwhile", addr)
}

// finish ends the section, if the server is still what it was.
func (r *reading) finish(ctx context.Context) error {
	repl, err := r.replication(ctx)
	if err != nil {
		return err
	}
	if id := fmt.Sprint(repl.RunID); id != r.section.RunID {
		return fmt.Errorf("%s was restarted meanwhile", r.node.Addr)
	}
	if was := r.section.ReplicationID; r.section.Replica && was != "" && repl.ReplID != was && repl.ReplID2 != was {
		return refilled(r.node.Addr)
	}
	at, err := r.now(ctx)
	if err != nil {
		return err
	}
	if !r.begun {
		if err := r.begin(); err != nil {
			return err
		}
	}
	if err := r.w.EndSection(repl.Offset, at); err != nil {
		return &writeError{err}
	}
	return nil
}

package remote

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// touchedTo is when what is touched ends before it is, relative to now.
const touchedTo = 60_000

// calls of every script, each with a key of its own.
func (b *bed) replays(n int) []Replay {
	rs := make([]Replay, n)
	for i := range rs {
		rs[i] = Replay{Kind: ReplayKind(i % 3), Key: fmt.Sprint("app:", i), Data: fmt.Append(nil, i), Cond: b.cond()}
		rs[i].Tomb = TombstoneKey("app:", rs[i].Key)
		rs[i].Own = []Range{{b.now + touchedTo - 1, b.now + touchedTo + 1}} // without PEXPIRETIME an end is known to a millisecond
	}
	return rs
}

func (b *bed) wantReplayed(rs []Replay) {
	b.Helper()
	for i := range rs {
		if rs[i].Kind == Retime {
			b.put(rs[i].Key, "touched", b.now+touchedTo)
		}
	}
	outcomes, err := b.n.Replay(b.Context(), rs, long)
	if err != nil || len(outcomes) != len(rs) {
		b.Fatalf("%d outcomes, %v", len(outcomes), err)
	}
	for i, o := range outcomes {
		want := map[ReplayKind]string{Restore: string(rs[i].Data), Retime: "touched"}[rs[i].Kind]
		if o.Err != nil || o.Result != Done || b.get(rs[i].Key) != want {
			b.Errorf("write %d: %v, %v, %q is there", i, o.Result, o.Err, b.get(rs[i].Key))
		} else if e := b.ends(rs[i].Key); want != "" && e != rs[i].Ends {
			b.Errorf("write %d ends at %d, want %d", i, e, rs[i].Ends)
		}
	}
}

func TestScriptsThatTheServerHasForgottenAreSentAgain(t *testing.T) {
	b := startBed(t)
	rs := b.replays(MaxBatch)
	b.wantReplayed(rs) // it knows none
	ask(t, b.p, "SCRIPT", "FLUSH")
	b.replay(Replay{Kind: Invalidate, Key: "app:x", Cond: Cond{Tomb: "app:~d:{app:x}", Process: "me"}})
	b = b.fresh(t)
	b.wantReplayed(b.replays(MaxBatch)) // it knows one of three
	for range 3 {
		ask(t, b.p, "SCRIPT", "FLUSH")
		b.delete("me")
		ask(t, b.p, "SCRIPT", "FLUSH")
		b.fill(Fill{Pair: Pair{TTL: time.Hour}, MissedAt: b.time() + 1})
	}
	wantClosed(t, b.n)
}

// Somebody flushes them all the time.
func TestScriptsAreRunHoweverOftenTheServerForgetsThem(t *testing.T) {
	b := startBed(t)
	stop := make(chan struct{})
	done := make(chan struct{})
	other := dial(t, b.p.Addr(), nil)
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_ = other.cmd.Do(t.Context(), other.b().Arbitrary("SCRIPT", "FLUSH", "SYNC").Build()).Error()
			}
		}
	}()
	for range 20 {
		outcomes, err := b.n.Replay(t.Context(), b.replays(MaxBatch), long)
		if err != nil {
			t.Error(err)
		}
		for i, o := range outcomes {
			if o.Err != nil {
				t.Errorf("write %d: %v", i, o.Err)
			}
		}
	}
	close(stop)
	<-done
}

func TestPlainCommandsTakeThePlaceOfScriptsThatAreForbidden(t *testing.T) {
	scripts := "-eval -evalsha -script"
	for name, tt := range map[string]struct {
		rules     string
		forbidden bool // scripts, for the node
	}{
		"scripts":                      {"~* +@all " + scripts, true},
		"the category":                 {"~* +@all -@scripting", true},
		"their text":                   {"~* +@all -eval", true},
		"their hash":                   {"~* +@all -evalsha", true},
		"the time":                     {"~* +@all -time", true},
		"the tombstones' keys":         {"~app:[^~]* ~\\~b:* +@all", false},
		"nothing that it could not do": {"~* +@all -pexpiretime", false},
	} {
		t.Run(name, func(t *testing.T) {
			p := startRedis(t, redisproc.Options{Users: []redisproc.User{{Name: "app", Password: "x", Rules: strings.Fields(tt.rules)}}})
			c := config(p.Addr())
			c.Username, c.Password = "app", "x"
			b := bedOn(t, p, dialWith(t, c, nil))
			plain := tt.forbidden || strings.HasPrefix(name, "the tomb")

			b.put(b.key, "theirs", b.now+hour)
			pair := Pair{Key: b.key, Data: []byte("ours"), TTL: time.Hour}
			if b.fill(Fill{Pair: pair, MissedAt: b.now}) || b.get(b.key) != "theirs" {
				t.Error("a fill overwrites")
			}
			if !b.fill(Fill{Pair: pair, MissedAt: b.now, Replaces: Sum([]byte("theirs"))}) || b.get(b.key) != "ours" {
				t.Error("a fill does not overwrite")
			}
			for _, want := range []bool{true, false} {
				if removed, at := b.delete("me"); removed != want || (at == 0) != plain {
					t.Errorf("Delete = %v, %d", removed, at)
				}
			}
			if plain {
				b.wantNoTomb()
			}
			ask(t, p, "DEL", b.tomb)
			if !b.fill(Fill{Pair: pair, MissedAt: b.now}) {
				t.Error("a fill is not stored")
			}
			b.now = b.time()
			b.wantReplayed(b.replays(12))
			if got := b.n.ScriptsForbidden(); got != tt.forbidden {
				t.Errorf("ScriptsForbidden = %v", got)
			}
			if name == "the tombstones' keys" {
				wantKind(t, b.n.Forbidden(), NoPerm)
			}
			wantClosed(t, b.n)
		})
	}
}

func TestAServerWithoutEVALSHARunsScriptsByTheirText(t *testing.T) {
	p := startRedis(t, redisproc.Options{Config: []string{"rename-command EVALSHA \"\""}})
	b := bedOn(t, p, dial(t, p.Addr(), nil)).noted()
	b.put(b.key, "newer", b.now+hour)
	if got := b.replay(Replay{Kind: Restore, Key: b.key, Data: []byte("ours"), Cond: b.cond()}); got != Superseded || b.get(b.key) != "newer" {
		t.Errorf("%v, %q is there", got, b.get(b.key))
	}
	if b.n.ScriptsForbidden() || !b.n.Lacks("EVALSHA") {
		t.Errorf("forbidden %v, missing %v", b.n.ScriptsForbidden(), b.n.Missing())
	}
}

func TestAReplayWithoutScriptsHasNoCondition(t *testing.T) {
	p := startRedis(t, redisproc.Options{Config: []string{"rename-command EVAL \"\"", "rename-command EVALSHA \"\""}})
	b := bedOn(t, p, dial(t, p.Addr(), nil))
	for _, kind := range []ReplayKind{Restore, Invalidate} {
		b.put(b.key, "newer", b.now+hour)
		if got := b.replay(Replay{Kind: kind, Key: b.key, Data: []byte("ours"), Cond: b.cond()}); got != Done {
			t.Errorf("kind %d: %v", kind, got)
		}
		if v, want := b.get(b.key), map[ReplayKind]string{Restore: "ours"}[kind]; v != want {
			t.Errorf("kind %d: %q is there, want %q", kind, v, want)
		}
	}
	if !b.n.ScriptsForbidden() {
		t.Error("scripts are not known to be forbidden")
	}
}

func TestAKeyThatIsForbiddenDoesNotFailItsNeighbours(t *testing.T) {
	p := startRedis(t, redisproc.Options{Users: []redisproc.User{{Name: "app", Password: "x", Rules: []string{"~app:[0-9~]*", "~\\~b:*", "+@all"}}}})
	c := config(p.Addr())
	c.Username, c.Password = "app", "x"
	b := bedOn(t, p, dialWith(t, c, nil))
	rs := b.replays(3)
	rs[1] = Replay{Kind: Restore, Key: "app:theirs", Data: []byte("v"), Cond: b.cond()}
	rs[1].Tomb = TombstoneKey("app:", rs[1].Key)
	outcomes, err := b.n.Replay(t.Context(), rs, long)
	wantKind(t, err, NoPerm)
	for i, want := range []Kind{OK, NoPerm, OK} {
		wantKind(t, outcomes[i].Err, want)
	}
	_, _, err = b.n.Delete(t.Context(), Del{Key: "app:theirs", Tomb: rs[1].Tomb, Process: "me"}, long)
	wantKind(t, err, NoPerm)
	if b.n.ScriptsForbidden() {
		t.Error("a key that is forbidden counts for all scripts")
	}
	wantClosed(t, b.n)
}

func TestAReplicaGetsWhatScriptsWrite(t *testing.T) {
	b := startBed(t)
	replica := bedOn(t, startRedis(t, redisproc.Options{ReplicaOf: b.p.Addr()}), nil)
	eventually(t, patience, "the replica follows", func() bool {
		return strings.Contains(ask(t, replica.p, "INFO", "replication").(string), "master_link_status:up")
	})
	b.wantReplayed(b.replays(6))
	_, at := b.delete("me")
	if !b.fill(Fill{Pair: Pair{Data: []byte("v"), TTL: time.Hour}, MissedAt: at + 1}) {
		t.Error("not stored")
	}
	eventually(t, patience, "the replica has it all", func() bool { return replica.get(b.key) == "v" })
	keys := []string{b.key, b.tomb}
	for _, r := range b.replays(6) {
		keys = append(keys, r.Key, r.Tomb)
	}
	for _, key := range keys {
		if b.get(key) != replica.get(key) || b.ends(key) != replica.ends(key) {
			t.Errorf("%s: %q until %d, on the replica %q until %d", key, b.get(key), b.ends(key), replica.get(key), replica.ends(key))
		}
	}
	n := dial(t, b.p.Addr(), nil)
	ask(t, b.p, "REPLICAOF", "127.0.0.1", "1")
	_, _, err := n.Delete(t.Context(), Del{Key: b.key, Tomb: b.tomb, Process: "me"}, long)
	wantKind(t, err, ReadOnly)
}

func TestAPrefixDeleteThatIsPutBackSparesWhatWasWrittenSince(t *testing.T) {
	b := startBed(t)
	for i := range 300 {
		written := int64(lo - 1)
		if i%3 == 0 {
			written = hi + 2
		}
		b.put(fmt.Sprint("app:p:", i), "v", b.now+written+hour)
	}
	b.put("app:q:1", "v", b.now+lo-1+hour)
	b.put("app:~b:me", "7", 0)
	b.put("app:~d:{app:x}", "garbage", 0)
	const want = 100
	for _, prefix := range []string{"app:p:", "app:"} {
		survived, cursor := 0, uint64(0)
		for {
			k, next, err := b.n.InvalidatePrefixFrom(t.Context(), PrefixReplay{KeyPrefix: "app:", Prefix: prefix, Cond: b.cond()}, cursor, long)
			if err != nil {
				t.Fatal(err)
			}
			survived += k
			if cursor = next; cursor == 0 {
				break
			}
		}
		if survived < want { // SCAN may show a key twice
			t.Errorf("%s: %d keys survive, want %d", prefix, survived, want)
		}
		for i := range 300 {
			key := fmt.Sprint("app:p:", i)
			if v := b.get(key); (v == "v") != (i%3 == 0) {
				t.Errorf("%s = %q", key, v)
			}
			if i%3 != 0 && b.get(TombstoneKey("app:", key)) != decimal(b.now+hi)+":me" {
				t.Errorf("%s has no tombstone", key)
			}
		}
		if v := b.get("app:q:1"); (v == "v") != (prefix == "app:p:") {
			t.Errorf("a bystander is %q", v)
		}
	}
	if b.get("app:~b:me") != "7" || b.get("app:~d:{app:x}") != "garbage" {
		t.Error("our own keys are deleted")
	}
}

package check

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// allowed is what evercache sends to a Redis node, P standing for the key prefix.
var allowed = []string{
	"PING", "ROLE", "TIME", "INFO replication", "INFO server", "WAIT 1 50", "SELECT 0",
	"CLIENT SETNAME evercache", "CLIENT ID", "CLIENT TRACKING ON BCAST NOLOOP PREFIX P",
	"GET Pdemo:a", "GETRANGE Pdemo:a 0 9", "GETBIT Pdemo:a 8388608", "STRLEN Pdemo:a", "PTTL Pdemo:a", "EXISTS Pdemo:a", "SET Pdemo:a v PX 1000", "SET Pdemo:a v PX 1000 NX",
	"DEL Pdemo:a", "UNLINK Pdemo:a", "PEXPIRE Pdemo:a 1000", "PEXPIREAT Pdemo:a 1000", "PEXPIRETIME Pdemo:a",
	"SCAN 0 MATCH Pdemo:* COUNT 1000", "TYPE Pdemo:a",
	"HGET P~d:demo:a f", "HGETALL P~d:demo:a", "HEXISTS P~d:demo:a f", "HLEN P~d:demo:a", "HSET P~d:demo:a f v", "HDEL P~p:demo f", "HRANDFIELD P~p:demo 1 WITHVALUES",
	"SET P~b:1 7 PX 1000", "GET P~b:1", "GET P~dataset", "SET P~d:demo:a 1 PX 1000", "INCR P~revoked",
	"EVAL return 2 Pdemo:a P~d:demo:a", "EVALSHA 0123456789012345678901234567890123456789 1 Pdemo:a", "SCRIPT LOAD return",
	"MULTI", "EXEC",
	"HINCRBY P~r f 1", "HMGET P~r f", "ZREM P~r a", "ZRANGEBYSCORE P~r 0 1", "ZSCAN P~r 0", "XREVRANGE P~f + - COUNT 1",
	"ZADD P~r GT 1 a", "ZCARD P~r", "ZRANGE P~r 0 -1", "ZSCORE P~r a", "ZREMRANGEBYSCORE P~r 0 1",
	"XADD P~f * a b", "XREAD BLOCK 10 STREAMS P~f 0", "XTRIM P~f MAXLEN 10", "XLEN P~f", "XINFO STREAM P~f",
}

// forbidden is what a stolen password of evercache's must not do.
var forbidden = []string{
	"GET other:a", "SET other:a v", "GET a", "SUBSCRIBE x", "PUBLISH x y", "KEYS *", "FLUSHALL", "FLUSHDB", "SHUTDOWN",
	"CONFIG GET masterauth", "CONFIG SET dir x", "REPLICAOF NO ONE", "ACL LIST", "DEBUG SLEEP 1", "MONITOR", "CLIENT LIST", "CLIENT KILL x",
	"SCRIPT FLUSH", "MODULE LIST", "SYNC", "REPLCONF x", "SWAPDB 0 1", "RENAME Pdemo:a Pdemo:b",
}

// askedOfSentinels is what evercache sends to a sentinel.
var askedOfSentinels = []string{
	"PING", "INFO", "ROLE", "CLIENT SETNAME evercache", "PSUBSCRIBE *", "PUNSUBSCRIBE", "SENTINEL MYID",
	"SENTINEL GET-MASTER-ADDR-BY-NAME m", "SENTINEL MASTER m", "SENTINEL MASTERS", "SENTINEL REPLICAS m", "SENTINEL SENTINELS m", "SENTINEL CKQUORUM m",
}

// notAskedOfSentinels would move the master, or forget it.
var notAskedOfSentinels = []string{
	"SENTINEL FAILOVER m", "SENTINEL SET m quorum 1", "SENTINEL REMOVE m", "SENTINEL RESET m", "SENTINEL MONITOR m h 1 1",
	"SENTINEL CONFIG GET *", "SENTINEL FLUSHCONFIG", "SHUTDOWN", "ACL LIST", "PUBLISH __sentinel__:hello x", "SENTINEL IS-MASTER-DOWN-BY-ADDR h 1 1 *",
}

// refused lists those of the commands that the ACL of the node refuses a user.
func (n *node) refused(user string, commands []string) (all []string) {
	n.set.t.Helper()
	var questions strings.Builder
	for _, c := range commands {
		fmt.Fprintf(&questions, "ACL DRYRUN %s %s\n", user, prefixed.ReplaceAllString(c, "${1}"+n.set.prefix+"${2}"))
	}
	out, err := feed(n.set.t, questions.String(), n.environ, "sh", filepath.Join(n.set.scripts, "cli.sh"))
	answers := strings.Split(out, "\n")
	if err != nil || len(answers) != len(commands) {
		n.set.t.Fatalf("%d answers to %d questions, %v:\n%s", len(answers), len(commands), err, out)
	}
	for i, answer := range answers {
		switch {
		case strings.Contains(answer, "has no permissions"):
			all = append(all, commands[i])
		case answer != "OK":
			n.set.t.Errorf("%s: %s", commands[i], answer)
		}
	}
	return all
}

// prefixed finds the P that stands for the key prefix.
var prefixed = regexp.MustCompile(`(\s)P($|~|demo:)`)

func TestEvercacheMayDoWhatItNeedsAndNoMore(t *testing.T) {
	t.Parallel()
	s := newSet(t, nil)
	redis, sentinel := s.redis[0], s.sentinels[0]
	redis.start()
	redis.awaitHealthy()
	sentinel.start()
	eventually(t, 20e9, "the sentinel answers", func() error { _, err := sentinel.ask("PING"); return err })

	if wrong := redis.refused("evercache", allowed); len(wrong) > 0 {
		t.Errorf("refused at a node: %s", strings.Join(wrong, "; "))
	}
	if wrong := redis.refused("evercache", forbidden); len(wrong) != len(forbidden) {
		t.Errorf("not all of these is refused at a node: only %s", strings.Join(wrong, "; "))
	}
	if wrong := sentinel.refused("evercache", askedOfSentinels); len(wrong) > 0 {
		t.Errorf("refused at a sentinel: %s", strings.Join(wrong, "; "))
	}
	if wrong := sentinel.refused("evercache", notAskedOfSentinels); len(wrong) != len(notAskedOfSentinels) {
		t.Errorf("not all of these is refused at a sentinel: only %s", strings.Join(wrong, "; "))
	}
	script := "redis.call('TIME') redis.call('SET', KEYS[1], 'v', 'PX', 1000) redis.call('PEXPIRETIME', KEYS[1]) redis.call('PTTL', KEYS[1]) return redis.call('DEL', KEYS[1], KEYS[2])"
	redis.must("CONFIG", "SET", "min-replicas-to-write", "0") // it has none
	if out, err := redis.as("evercache", "redis-password", "EVAL", script, "2", "shop:demo:a", "shop:~d:demo:a"); err != nil || out != "1" {
		t.Errorf("a script: %q, %v", out, err)
	}
	if out, err := redis.as("default", "redis-password", "PING"); err == nil {
		t.Errorf("the default user is served: %q", out)
	}
	if out, err := redis.as("admin", "redis-password", "PING"); err == nil {
		t.Errorf("admin with another password is served: %q", out)
	}
}

var called = regexp.MustCompile(`redis\.p?call\(['"]([A-Za-z]+)['"]`)

// unlisted lists the commands of the scripts in a source that allowed lacks.
func unlisted(source string) (all []string) {
	for _, m := range called.FindAllStringSubmatch(source, -1) {
		command := strings.ToUpper(m[1])
		if !slices.ContainsFunc(allowed, func(c string) bool { return strings.HasPrefix(c+" ", command+" ") }) && !slices.Contains(all, command) {
			all = append(all, command)
		}
	}
	return all
}

func TestEverythingThatTheScriptsCallIsAllowed(t *testing.T) {
	var sources []string
	for _, dir := range []string{"../../internal/remote", "../../revoke"} {
		found, err := filepath.Glob(dir + "/*.go")
		if err != nil || len(found) == 0 {
			t.Fatalf("%v, %v", found, err)
		}
		sources = append(sources, found...)
	}
	for _, file := range sources {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		if missing := unlisted(read(t, file)); len(missing) > 0 {
			t.Errorf("%s: its scripts call %s: add it to allowed and to redis-users.acl.tmpl", file, strings.Join(missing, ", "))
		}
	}
	if found := unlisted("redis.call('GET', K) redis.pcall('FLUSHALL')"); !slices.Equal(found, []string{"FLUSHALL"}) {
		t.Errorf("found %q", found)
	}
}

// replace spoils one file of the set.
func replace(t *testing.T, file, old, text string) func(string) {
	return func(scripts string) {
		name := filepath.Join(scripts, file)
		before := read(t, name)
		after := strings.Replace(before, old, text, 1)
		if after == before {
			t.Fatalf("%q is not in %s", old, file)
		}
		if err := os.WriteFile(name, []byte(after), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestACommandThatTheUsersLackIsFound(t *testing.T) {
	t.Parallel()
	s := newSet(t, replace(t, "redis-users.acl.tmpl", " +wait ", " "))
	n := s.redis[0]
	n.start()
	n.awaitHealthy()
	if wrong := n.refused("evercache", allowed); len(wrong) != 1 || wrong[0] != "WAIT 1 50" {
		t.Errorf("found %q", wrong)
	}
	if out, err := n.as("evercache", "redis-password", "WAIT", "0", "1"); err == nil {
		t.Errorf("WAIT: %q", out)
	}
	if found := s.refusals(); len(found) != 1 || !strings.Contains(found[0], "Object:wait") {
		t.Errorf("ACL LOG: %q", found)
	}
}

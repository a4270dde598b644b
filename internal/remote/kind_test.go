package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache/internal/redisproc"
)

// replies are error replies as servers give them.
var replies = []struct {
	text string
	want Kind
}{
	{"READONLY You can't write against a read only replica.", ReadOnly},
	{"LOADING Redis is loading the dataset in memory", Loading},
	{"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", MasterDown},
	{"NOREPLICAS Not enough good replicas to write.", NoReplicas},
	{"OOM command not allowed when used memory > 'maxmemory'.", OOM},
	{"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.", Misconf},
	{"NOAUTH Authentication required.", Auth},
	{"NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used", Auth},
	{"WRONGPASS invalid username-password pair or user is disabled.", Auth},
	{"ERR invalid password", Auth}, // before Redis 6
	{"ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?", Auth},
	{"ERR Client sent AUTH, but no password is set", Auth},
	{"DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user.", Auth},
	{"NOPERM this user has no permissions to run the 'set' command", NoPerm},
	{"NOPERM No permissions to access a key", NoPerm},
	{"ERR max number of clients reached", MaxClients},
	{"ERR max number of clients + cluster connections reached", MaxClients},
	{"MOVED 3999 127.0.0.1:6381", Moved},
	{"ASK 3999 127.0.0.1:6381", Ask},
	{"CLUSTERDOWN Hash slot not served", ClusterDown},
	{"CLUSTERDOWN The cluster is down", ClusterDown},
	{"CLUSTERDOWN The cluster is down and only accepts read commands", ClusterDown},
	{"TRYAGAIN Multiple keys request during rehashing of slot", TryAgain},
	{"CROSSSLOT Keys in request don't hash to the same slot", CrossSlot},
	// In a script, as 7.0 says it; it adds where.
	{"ERR Script attempted to access a non local key in a cluster node script: 5c1, on @user_script:3.", TryAgain},
	{"ERR Script attempted to access keys that do not hash to the same slot script: 5c1, on @user_script:3.", CrossSlot},
	{"ERR Script attempted to execute a command while the cluster is down script: 5c1, on @user_script:3.", ClusterDown},
	{"ERR Script attempted to execute a write command while the cluster is down and readonly script: 5c1, on @user_script:3.", ClusterDown},
	{"ERR The user executing the script can't access at least one of the keys mentioned in the command arguments script: 5c1, on @user_script:3.", NoPerm},
	// As 7.2, 8.0 and Valkey say it.
	{"ERR Script attempted to access a slot not served script: 5c1, on @user_script:3.", ClusterDown},
	{"ERR Unable to execute command 'hlen' in script because undeclared keys were accessed during rehashing of the slot script: 5c1, on @user_script:3.", TryAgain},
	{"ERR Command 'get' in script attempted to access keys that don't hash to the same slot script: 5c1, on @user_script:3.", CrossSlot},
	{"ERR ACL failure in script: User app has no permissions to access the 'k' key script: 5c1, on @user_script:3.", NoPerm},
	{"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", Busy},
	{"UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)", Other},
	{"EXECABORT Transaction discarded because of previous errors.", Other},

	{"WRONGTYPE Operation against a key holding the wrong kind of value", Logical},
	{"ERR value is not an integer or out of range", Logical},
	{"ERR value is not a valid float", Logical},
	{"ERR syntax error", Logical},
	{"ERR invalid expire time in 'set' command", Logical},
	{"ERR invalid expire time in set", Logical},
	{"ERR string exceeds maximum allowed size (proto-max-bulk-len)", Logical},
	{"ERR string exceeds maximum allowed size (512MB)", Logical},
	{"ERR wrong number of arguments for 'set' command", Logical},
	{"ERR Protocol error: invalid bulk length", Logical},

	{"ERR unknown command 'FOO', with args beginning with: ", Lacks},
	{"ERR unknown command `FOO`, with args beginning with: ", Lacks}, // before Redis 7
	{"ERR unknown command", Lacks},
	{"ERR unknown subcommand 'TRACKING'. Try CLIENT HELP.", Lacks},
	{"ERR Unknown subcommand or wrong number of arguments for 'TRACKING'. Try CLIENT HELP.", Lacks},
	{"ERR unsupported command 'FOO'", Lacks},
	{"ERR Command is not available: 'CLIENT'. See https://example.com", Lacks},
	{"ERR Unknown Redis command called from script script: 5c1, on @user_script:1.", Lacks},
	{"ERR ACL failure in script: User app has no permissions to run the 'set' command", NoPerm},

	{"NOSCRIPT No matching script. Please use EVAL.", UnknownReply},
	{"BUSYKEY Target key name already exists.", UnknownReply},
	{"BUSYGROUP Consumer Group name already exists", UnknownReply},
	{"ERR Unable to execute command 'x'", UnknownReply},
	{"ERR Command 'x' is not for you", UnknownReply},
	{"ERR Script attempted to access", UnknownReply},
	{"NOREPL something", UnknownReply},
	{"ERR upstream failure", UnknownReply},
	{"ERR proxy: no backend", UnknownReply},
	{"ERR internal", UnknownReply},
	{"ERR Protocol error: unauthenticated bulk length", UnknownReply},
	{"OOMPH is no word of Redis", UnknownReply},
	{"ERR", UnknownReply},
	{"", UnknownReply},
	{"READONLY", ReadOnly},
}

func TestKindOfAReply(t *testing.T) {
	for _, tt := range replies {
		if got := kindOfReply(tt.text); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
}

// The table above holds for what arrives through rueidis too, which changes
// the text of replies.
func TestARepliedErrorKeepsItsKindOnTheWay(t *testing.T) {
	n := dial(t, startRedis(t, redisproc.Options{}).Addr(), nil)
	for _, tt := range replies {
		if tt.text == "" {
			continue // Redis does not let a script say that
		}
		eval := n.b().Arbitrary("EVAL", "return redis.error_reply(ARGV[1])", "0", tt.text).Build()
		err := n.cmd.Do(t.Context(), eval).Error()
		for _, err := range []error{err, fmt.Errorf("wrapped: %w", err), wrap("get", err)} {
			if got := KindOf(err); got != tt.want {
				t.Errorf("%q arrives as %v: %q, want %q", tt.text, err, got, tt.want)
			}
		}
	}
}

func TestKindOfAGoError(t *testing.T) {
	timedOut := &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	tests := []struct {
		name string
		err  error
		want Kind
	}{
		{"none", nil, OK},
		{"no such key", errNil, Nil},
		{"no such key, wrapped", fmt.Errorf("get: %w", errNil), Nil},
		{"rueidis' nil", rueidis.Nil, Nil},
		{"rueidis' nil, wrapped", fmt.Errorf("get: %w", rueidis.Nil), Nil},
		{"deadline", context.DeadlineExceeded, Timeout},
		{"deadline, wrapped", fmt.Errorf("get: %w", context.DeadlineExceeded), Timeout},
		{"deadline of a socket", os.ErrDeadlineExceeded, Timeout},
		{"dial that timed out", timedOut, Timeout},
		{"a name that did not resolve in time", &net.DNSError{Err: "i/o timeout", IsTimeout: true}, Timeout},
		{"a name that does not resolve", &net.DNSError{Err: "no such host", IsNotFound: true}, Conn},
		{"refused", refused, Conn},
		{"reset", syscall.ECONNRESET, Conn},
		{"cancelled", context.Canceled, Canceled},
		{"the end of the stream", io.EOF, Conn},
		{"in the middle of a reply", io.ErrUnexpectedEOF, Conn},
		{"closed here", net.ErrClosed, Conn},
		{"rueidis is closed", rueidis.ErrClosing, Conn},
		{"a second dial", errSpent, Conn},
		{"anything else", errors.New("?"), Conn},
		{"ours", &Error{Kind: TLS, Op: "TLS handshake", Err: io.EOF}, TLS},
		{"ours, wrapped", fmt.Errorf("dial: %w", &Error{Kind: OOM, Err: io.EOF}), OOM},
		{"ours, of a cause that says otherwise", &Error{Kind: Canceled, Err: context.DeadlineExceeded}, Canceled},
		{"why a node was given up", &OpenError{Cause: "errors", Last: &Error{Kind: Loading, Err: io.EOF}}, Loading},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := KindOf(tt.err); got != tt.want {
				t.Errorf("KindOf(%v) = %q, want %q", tt.err, got, tt.want)
			}
		})
	}
}

func TestAnOutageIsEverythingButAShortList(t *testing.T) {
	noOutage := []Kind{OK, Nil, Logical, Canceled, Crowded, Oversize}
	refused := []Kind{OOM, Misconf, NoReplicas, NoPerm, Lacks, UnknownReply, TryAgain, CrossSlot}
	for _, k := range append(slices.Clone(Kinds), OK, Nil, "a kind yet to come") {
		if got, want := k.Outage(), !slices.Contains(noOutage, k); got != want {
			t.Errorf("%q is an outage: %v", k, got)
		}
		if got, want := k.Refused(), slices.Contains(refused, k); got != want {
			t.Errorf("%q is a refusal of writes: %v", k, got)
		}
	}
}

// A write may have been carried out where nobody answered, or where nobody knows what
// the answer means. One that a node of a Cluster does not serve is not: it may be sent
// again anywhere, and nobody's order is in doubt.
func TestWhatANodeOfAClusterDoesNotServeHasNotLanded(t *testing.T) {
	lands := []Kind{
		Timeout, Conn, TLS, ReadOnly, Loading, MasterDown, Auth, MaxClients, Busy, Other, UnknownReply,
	}
	for _, k := range append(slices.Clone(Kinds), OK, Nil) {
		if got, want := k.MayLand(), slices.Contains(lands, k); got != want {
			t.Errorf("%q may have landed: %v", k, got)
		}
	}
}

func TestEveryKindIsCounted(t *testing.T) {
	for _, tt := range replies {
		if !slices.Contains(Kinds, tt.want) {
			t.Errorf("%q is missing in Kinds", tt.want)
		}
	}
	if n := len(slices.Compact(slices.Sorted(slices.Values(Kinds)))); n != len(Kinds) {
		t.Error("Kinds names one twice")
	}
}

func FuzzKindOfReply(f *testing.F) {
	for _, tt := range replies {
		f.Add(tt.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k := kindOfReply(text)
		if !slices.Contains(Kinds, k) {
			t.Fatalf("%q: %q is not counted", text, k)
		}
		if again := kindOfReply("ERR " + strings.TrimPrefix(text, "ERR ")); again != k {
			t.Errorf("%q: %q, with ERR before it %q", text, k, again)
		}
		first, _, _ := strings.Cut(strings.TrimPrefix(text, "ERR "), " ")
		if known := kindOfReply(first + "X"); wordEnds(first) && (known == k && k != UnknownReply) {
			t.Errorf("%q: a longer first word is %q too", text, kindOfReply(first+"X"))
		}
		if k == Timeout || k == Conn || k == TLS || k == Canceled {
			t.Errorf("%q: %q is no reply's", text, k)
		}
	})
}

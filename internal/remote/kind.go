package remote

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache/internal/censor"
)

// Kind sorts what can go wrong between us and a node. It is a metric label and
// the root of a finding. An outage is everything except OK, Nil, Logical,
// Canceled, Crowded and Oversize: lists of "outage errors" leak, so the list names the others.
type Kind string

const (
	OK           Kind = ""
	Nil          Kind = "nil"         // the key is not there: an answer
	Logical      Kind = "logical"     // the command was wrong: WRONGTYPE and the like, see mistakes
	Canceled     Kind = "canceled"    // the caller gave up before our own deadline
	Timeout      Kind = "timeout"     // no answer in time
	Conn         Kind = "conn"        // refused, reset, closed, not resolved
	TLS          Kind = "tls"         // the handshake failed
	ReadOnly     Kind = "readonly"    // the node is a replica
	Loading      Kind = "loading"     // the node reads its data from disk
	MasterDown   Kind = "masterdown"  // a replica without its master
	NoReplicas   Kind = "noreplicas"  // min-replicas-to-write is not met
	OOM          Kind = "oom"         // maxmemory reached, nothing to evict
	Misconf      Kind = "misconf"     // the last save failed, writes are stopped
	Auth         Kind = "auth"        // NOAUTH, WRONGPASS
	NoPerm       Kind = "noperm"      // the ACL forbids the command or the key
	MaxClients   Kind = "maxclients"  // no connection left for us
	Moved        Kind = "moved"       // another node of the Cluster has the slot; without one: wrong mode
	Ask          Kind = "ask"         // the slot moves, and the key is not here: another node has it
	TryAgain     Kind = "tryagain"    // the slot moves, and its keys are at two nodes; or that of the anchor does
	ClusterDown  Kind = "clusterdown" // the node is well, and its Cluster serves nothing, or not the slot
	CrossSlot    Kind = "crossslot"   // the node takes no command with keys of several slots
	Busy         Kind = "busy"        // a script blocks the server
	Lacks        Kind = "lacks"       // the node does not have the command
	UnknownReply Kind = "unknown"     // an error reply that we do not know
	Crowded      Kind = "crowded"     // not sent over the connection that all share: too large for it
	Oversize     Kind = "oversize"    // the value is longer than Config.MaxValue: it is not read
	Other        Kind = "other"
)

// Kinds are all those that count as errors, for metrics that start at 0.
var Kinds = []Kind{
	Timeout, Conn, TLS, ReadOnly, Loading, MasterDown, NoReplicas, OOM, Misconf,
	Auth, NoPerm, MaxClients, Moved, Ask, TryAgain, ClusterDown, CrossSlot, Busy, Lacks, UnknownReply, Crowded, Oversize, Logical, Canceled, Other,
}

// prefixes are the first words of error replies, without the ERR before some.
var prefixes = []struct {
	prefix string
	kind   Kind
}{
	{"READONLY", ReadOnly},
	{"LOADING", Loading},
	{"MASTERDOWN", MasterDown},
	{"NOREPLICAS", NoReplicas},
	{"OOM", OOM},
	{"MISCONF", Misconf},
	{"NOAUTH", Auth},
	{"WRONGPASS", Auth},
	{"invalid password", Auth},
	{"AUTH", Auth},
	{"Client sent AUTH", Auth},
	{"DENIED", Auth}, // protected mode: no password is set, and we are not local
	{"NOPERM", NoPerm},
	{"max number of clients", MaxClients},
	{"MOVED", Moved},
	{"ASK", Ask},
	{"TRYAGAIN", TryAgain},
	{"CLUSTERDOWN", ClusterDown},
	{"CROSSSLOT", CrossSlot},
	{"BUSY", Busy},
	{"UNBLOCKED", Other},
	{"EXECABORT", Other}, // a transaction; the reason is not told
	{"ACL failure in script", NoPerm},
	{"The user executing the script can't", NoPerm}, // Redis 7.0
	{"The user executing the script is lacking the permissions", NoPerm},
	{nonLocalKey, TryAgain},
	{"Lua script attempted to access a non local key", TryAgain}, // before Redis 7
	{"Script attempted to access a slot not served", ClusterDown},
	{"Script attempted to execute a command while the cluster is down", ClusterDown},
	{"Script attempted to execute a write command while the cluster is down", ClusterDown},
	{"Script attempted to access keys that do not hash to the same slot", CrossSlot},
	{"unknown command", Lacks},
	{"Unknown subcommand", Lacks},
	{"unknown subcommand", Lacks},
	{"Unknown Redis command", Lacks}, // in a script
	{"unsupported command", Lacks},   // Envoy
	{"Command is not available", Lacks},
	{"This command is not supported", Lacks},
}

// nonLocalKey begins the reply to a script that asked for a key that it has not
// declared: the slot is another node's, or it moves and the key is not here.
const nonLocalKey = "Script attempted to access a non local key"

// commandInScript are replies since Redis 7.2 that name a command in their midst.
var commandInScript = []struct {
	begins, goesOn string
	kind           Kind
}{
	{"Unable to execute command '", "' in script because " + undeclaredMoves, TryAgain},
	{"Command '", "' in script attempted to access keys that don't hash to the same slot", CrossSlot},
}

const undeclaredMoves = "undeclared keys were accessed during rehashing of the slot"

// aboutAnchor reports whether err is about a key that a script has not declared: the
// marks or lives at an anchor are the only ones.
func aboutAnchor(err error) bool {
	text := err.Error()
	return strings.Contains(text, "cript attempted to access a non local key") || strings.Contains(text, undeclaredMoves)
}

// mistakes begin the replies to a command that can never be carried out as it
// is, whoever is asked and whenever. Only they let a write be refused: what is
// not here may be anything, a proxy's own words for an outage too.
var mistakes = []string{
	"WRONGTYPE",
	"syntax error",
	"value is not an integer",
	"value is not a valid float",
	"invalid expire",
	"string exceeds maximum allowed size",
	"wrong number of arguments",
	"Protocol error: invalid bulk length", // a value over the server's limit
}

// KindOf sorts an error of this package or of rueidis.
func KindOf(err error) Kind {
	switch {
	case err == nil:
		return OK
	case errors.Is(err, errNil), errors.Is(err, rueidis.Nil):
		return Nil
	}
	if re, ok := errors.AsType[*rueidis.RedisError](err); ok {
		return kindOfReply(re.Error())
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), isNetTimeout(err):
		return Timeout
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, rueidis.ErrClosing), errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		return Conn
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return TLS // an alert: with TLS 1.3 a certificate of ours is refused after the handshake
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return Conn
	}
	return Conn // whatever rueidis says that is not a reply is about its connection
}

func isNetTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}

// kindOfReply sorts an error reply by its first words. rueidis leaves the ERR
// at its beginning out.
func kindOfReply(text string) Kind {
	text = strings.TrimPrefix(text, "ERR ")
	for _, p := range prefixes {
		if rest, ok := strings.CutPrefix(text, p.prefix); ok && wordEnds(rest) {
			return p.kind
		}
	}
	for _, m := range mistakes {
		if rest, ok := strings.CutPrefix(text, m); ok && wordEnds(rest) {
			return Logical
		}
	}
	for _, c := range commandInScript {
		if rest, ok := strings.CutPrefix(text, c.begins); ok && strings.Contains(rest, c.goesOn) {
			return c.kind
		}
	}
	return UnknownReply
}

// wordEnds: BUSYKEY is not BUSY.
func wordEnds(rest string) bool {
	return rest == "" || !(rest[0] >= 'A' && rest[0] <= 'Z' || rest[0] >= 'a' && rest[0] <= 'z')
}

// Outage reports whether k means that the node did not serve us.
func (k Kind) Outage() bool {
	return k != OK && k != Nil && k != Logical && k != Canceled && k != Crowded && k != Oversize
}

// Refused reports whether the node is well and answered, but takes no writes
// of this kind now: reads go on.
func (k Kind) Refused() bool {
	return k == OOM || k == Misconf || k == NoReplicas || k == NoPerm || k.Puzzling()
}

// Puzzling reports whether the reply says nothing about the node or the value: it
// is about the command alone, or nobody knows what it is about. A write that
// meets it is kept; a heartbeat that does is not answered.
func (k Kind) Puzzling() bool {
	return k == Lacks || k == UnknownReply || k == TryAgain || k == CrossSlot
}

// MayLand reports whether a write that failed so may have been carried out, or may
// be later: nobody answered, or nobody knows what the answer means.
func (k Kind) MayLand() bool {
	return k.Outage() && !k.Refused() && !k.Unserved() || k == UnknownReply
}

// Error is a failure of this package with its kind. Its text is bounded, is on one
// line and holds no secret, whatever a server has said.
type Error struct {
	Kind     Kind
	Op       string
	Err      error
	Redirect *Redirect // see RedirectOf
}

func (e *Error) Error() string { return censor.Text(e.Op+": "+e.Err.Error(), maxShown) }
func (e *Error) Unwrap() error { return e.Err }

// opDial is the Op of what failed before there was a connection.
const opDial = "dial"

// NeverConnected reports whether an error came before the server took the connection. A firewall that
// drops packets looks so.
func NeverConnected(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Op == opDial
}

func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: KindOf(err), Op: op, Err: tellable(err)}
}

// tellable is an error as it may be told. Of a reply that nobody knows there is
// less: a server repeats the arguments of a command that it does not have, keys and
// values of callers.
func tellable(err error) error {
	k := KindOf(err)
	if !k.Puzzling() {
		return told(err)
	}
	text, _, _ := strings.Cut(err.Error(), ", with args")
	return &Error{Kind: k, Op: "redis", Err: errors.New(censor.Text(text, 100))}
}

// errNil is the answer "no such key".
var errNil = errors.New("no such key")

// IsNil reports whether err is the answer "no such key".
func IsNil(err error) bool { return KindOf(err) == Nil }

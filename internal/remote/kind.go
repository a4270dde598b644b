package remote

import (
	"context"
	"errors"
	"fmt"
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
	Nil          Kind = "nil"        // the key is not there: an answer
	Logical      Kind = "logical"    // the command was wrong: WRONGTYPE and the like, see mistakes
	Canceled     Kind = "canceled"   // the caller gave up before our own deadline
	Timeout      Kind = "timeout"    // no answer in time
	Conn         Kind = "conn"       // refused, reset, closed, not resolved
	TLS          Kind = "tls"        // the handshake failed
	ReadOnly     Kind = "readonly"   // the node is a replica
	Loading      Kind = "loading"    // the node reads its data from disk
	MasterDown   Kind = "masterdown" // a replica without its master
	NoReplicas   Kind = "noreplicas" // min-replicas-to-write is not met
	OOM          Kind = "oom"        // maxmemory reached, nothing to evict
	Misconf      Kind = "misconf"    // the last save failed, writes are stopped
	Auth         Kind = "auth"       // NOAUTH, WRONGPASS
	NoPerm       Kind = "noperm"     // the ACL forbids the command or the key
	MaxClients   Kind = "maxclients" // no connection left for us
	Moved        Kind = "moved"      // a Cluster node: wrong mode
	Busy         Kind = "busy"       // a script blocks the server
	Lacks        Kind = "lacks"      // the node does not have the command
	UnknownReply Kind = "unknown"    // an error reply that we do not know
	Crowded      Kind = "crowded"    // not sent over the connection that all share: too large for it
	Oversize     Kind = "oversize"   // the value is longer than Config.MaxValue: it is not read
	Other        Kind = "other"
)

// Kinds are all those that count as errors, for metrics that start at 0.
var Kinds = []Kind{
	Timeout, Conn, TLS, ReadOnly, Loading, MasterDown, NoReplicas, OOM, Misconf,
	Auth, NoPerm, MaxClients, Moved, Busy, Lacks, UnknownReply, Crowded, Oversize, Logical, Canceled, Other,
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
	{"ASK", Moved},
	{"CLUSTERDOWN", Moved},
	{"BUSY", Busy},
	{"UNBLOCKED", Other},
	{"EXECABORT", Other}, // a transaction; the reason is not told
	{"ACL failure in script", NoPerm},
	{"unknown command", Lacks},
	{"Unknown subcommand", Lacks},
	{"unknown subcommand", Lacks},
	{"Unknown Redis command", Lacks}, // in a script
	{"unsupported command", Lacks},   // Envoy
	{"Command is not available", Lacks},
	{"This command is not supported", Lacks},
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

// Puzzling reports whether the reply says nothing about the node or the key: it
// is about the command alone, or nobody knows what it is about. A write that
// meets it is kept; a heartbeat that does is not answered.
func (k Kind) Puzzling() bool { return k == Lacks || k == UnknownReply }

// Error is a failure of this package with its kind. Its text is bounded, is on one
// line and holds no secret, whatever a server has said.
type Error struct {
	Kind Kind
	Op   string
	Err  error
}

func (e *Error) Error() string { return censor.Text(e.Op+": "+e.Err.Error(), maxShown) }
func (e *Error) Unwrap() error { return e.Err }

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
	return &Error{Kind: k, Op: "redis", Err: fmt.Errorf("%.100s", strings.ToValidUTF8(text, "?"))}
}

// errNil is the answer "no such key".
var errNil = errors.New("no such key")

// IsNil reports whether err is the answer "no such key".
func IsNil(err error) bool { return KindOf(err) == Nil }

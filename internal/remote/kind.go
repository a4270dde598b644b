package remote

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"

	"github.com/redis/rueidis"
)

// Kind sorts what can go wrong between us and a node. It is a metric label and
// the root of a finding. An outage is everything except OK, Nil, Logical,
// Canceled and Crowded: lists of "outage errors" leak, so the list names the others.
type Kind string

const (
	OK         Kind = ""
	Nil        Kind = "nil"        // the key is not there: an answer
	Logical    Kind = "logical"    // the command was wrong: WRONGTYPE and the like
	Canceled   Kind = "canceled"   // the caller gave up before our own deadline
	Timeout    Kind = "timeout"    // no answer in time
	Conn       Kind = "conn"       // refused, reset, closed, not resolved
	TLS        Kind = "tls"        // the handshake failed
	ReadOnly   Kind = "readonly"   // the node is a replica
	Loading    Kind = "loading"    // the node reads its data from disk
	MasterDown Kind = "masterdown" // a replica without its master
	NoReplicas Kind = "noreplicas" // min-replicas-to-write is not met
	OOM        Kind = "oom"        // maxmemory reached, nothing to evict
	Misconf    Kind = "misconf"    // the last save failed, writes are stopped
	Auth       Kind = "auth"       // NOAUTH, WRONGPASS
	NoPerm     Kind = "noperm"     // the ACL forbids the command or the key
	MaxClients Kind = "maxclients" // no connection left for us
	Moved      Kind = "moved"      // a Cluster node: wrong mode
	Busy       Kind = "busy"       // a script blocks the server
	Crowded    Kind = "crowded"    // not sent over the connection that all share: too large for it
	Other      Kind = "other"
)

// Kinds are all those that count as errors, for metrics that start at 0.
var Kinds = []Kind{
	Timeout, Conn, TLS, ReadOnly, Loading, MasterDown, NoReplicas, OOM, Misconf,
	Auth, NoPerm, MaxClients, Moved, Busy, Crowded, Logical, Canceled, Other,
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
	return Logical
}

// wordEnds: BUSYKEY is not BUSY.
func wordEnds(rest string) bool {
	return rest == "" || !(rest[0] >= 'A' && rest[0] <= 'Z' || rest[0] >= 'a' && rest[0] <= 'z')
}

// Outage reports whether k means that the node did not serve us.
func (k Kind) Outage() bool {
	return k != OK && k != Nil && k != Logical && k != Canceled && k != Crowded
}

// Refused reports whether the node is well and answered, but takes no writes
// of this kind now: reads go on.
func (k Kind) Refused() bool {
	return k == OOM || k == Misconf || k == NoReplicas || k == NoPerm
}

// Error is a failure of this package with its kind; its text holds no secret.
type Error struct {
	Kind Kind
	Op   string
	Err  error
}

func (e *Error) Error() string { return e.Op + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: KindOf(err), Op: op, Err: err}
}

// errNil is the answer "no such key".
var errNil = errors.New("no such key")

// IsNil reports whether err is the answer "no such key".
func IsNil(err error) bool { return KindOf(err) == Nil }

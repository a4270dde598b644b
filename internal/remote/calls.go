package remote

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache/trace"
)

// CallObserver is an Observer that is told of each command with the context of who waits
// for it: when it begins, and when it has ended. What CallStart returns is what CallEnd
// gets. Both must be quick, and never block.
type CallObserver interface {
	CallStart(ctx context.Context, c trace.Call) context.Context
	CallEnd(ctx context.Context, c trace.Call, took time.Duration, k Kind, e trace.End)
}

// observed tells a CallObserver of one call.
type observed struct {
	obs  CallObserver // nil: nobody wants to know
	ctx  context.Context
	call trace.Call
}

// observe begins a call.
func observe(ctx context.Context, obs Observer, c trace.Call) observed {
	o, ok := obs.(CallObserver)
	if !ok {
		return observed{}
	}
	c.Operation = operation(c.Name, c.Keys)
	return observed{obs: o, ctx: o.CallStart(ctx, c), call: c}
}

// end ends it. said is the error as the server or the connection gave it, and told what
// may be shown of it.
func (o *observed) end(took time.Duration, k Kind, said, told error) {
	if o.obs == nil {
		return
	}
	var e trace.End
	if k != OK && k != Nil {
		e = trace.End{Err: told, ErrorType: string(k), Status: statusOf(said)}
	}
	o.obs.CallEnd(o.ctx, o.call, took, k, e)
}

// operation is a command by the name that Redis gives it.
func operation(name string, keys int) string {
	switch name {
	case "get", "get_large":
		return "GET"
	case "mget":
		return "PIPELINE GET"
	case "replica_get":
		if keys > 1 {
			return "PIPELINE GET"
		}
		return "GET"
	case "set", "set_nx":
		return "SET"
	case "pexpire":
		return "PEXPIRE"
	case "scan":
		return "SCAN"
	case "unlink":
		return "UNLINK"
	case "batch", "raw":
		return "PIPELINE"
	case "heartbeat":
		return "PING"
	case "info":
		return "INFO"
	}
	return "EVALSHA" // the others are scripts, where these are not forbidden
}

// maxStatus bounds the first word of an error reply.
const maxStatus = 32

// statusOf is the first word of an error reply, in the form that Redis gives it; "": err
// is no error reply. rueidis leaves the ERR of a reply out.
func statusOf(err error) string {
	re, ok := errors.AsType[*rueidis.RedisError](err)
	if !ok || re.IsNil() {
		return ""
	}
	word, _, _ := strings.Cut(re.Error(), " ")
	if word == "" || len(word) > maxStatus || strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "ERR"
	}
	return word
}

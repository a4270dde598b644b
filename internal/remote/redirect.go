package remote

import (
	"errors"
	"net"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache/internal/slot"
)

// Redirect is what a node of a Cluster says in place of carrying a command out.
type Redirect struct {
	Kind Kind   // Moved, Ask, TryAgain or ClusterDown
	Slot int    // of the key; -1: not known
	Addr string // "host:port" of the node that Moved and Ask name; "": none that can be dialled
	// Anchor: the key may be well. Slot is that of the anchor which went with it: the
	// node does not have it, or it moves. Another anchor may do.
	Anchor bool
}

// RedirectObserver is an Observer that is told what a node of a Cluster does not
// serve. It is called on the goroutines of callers, for each key of a pipeline: it
// must be quick, and never block. Of a node outside of a Cluster it hears nothing.
type RedirectObserver interface {
	Redirected(*Node, Redirect)
}

// RedirectOf is the redirection that err is, if it is one.
func RedirectOf(err error) (Redirect, bool) {
	for err != nil {
		e, ok := errors.AsType[*Error](err)
		switch {
		case !ok:
			return Redirect{}, false
		case e.Redirect != nil:
			return *e.Redirect, true
		}
		err = e.Err
	}
	return Redirect{}, false
}

// Unserved reports whether the node is well and has not carried the command out,
// for how the slots of its Cluster lie at this moment. It may be sent again.
func (k Kind) Unserved() bool {
	return k == Moved || k == Ask || k == TryAgain || k == ClusterDown
}

// subject is what a command is about.
type subject struct {
	key   string // "": no one key
	marks string // of the anchor that goes with it; "": none
}

// tell is an error as it may be told: see tellable. A redirection is noted in it,
// and told to the observer.
func (n *Node) tell(err error, of subject) error {
	k := KindOf(err)
	if !k.Unserved() || !n.clustered() {
		return tellable(err)
	}
	r := n.redirect(k, err, of)
	if o, ok := n.obs.(RedirectObserver); ok {
		o.Redirected(n, r)
	}
	return &Error{Kind: k, Op: "redis", Err: tellable(err), Redirect: &r}
}

// clustered reports whether the node was dialled as one of a Cluster.
func (n *Node) clustered() bool { return n.bulk != nil && n.bulk.config.Cluster }

// worse is the error of a pipeline: that of the worst of its keys. What a node of a
// Cluster does not serve is about one key.
func (n *Node) worse(worst, err error) error {
	switch k := KindOf(err); {
	case k == OK || k == Nil || k.Unserved() && n.clustered():
		return worst
	case worst == nil || !hurts(worst):
		return err
	}
	return worst
}

func (n *Node) redirect(k Kind, err error, of subject) Redirect {
	r := Redirect{Kind: k, Slot: -1}
	switch {
	case aboutAnchor(err) && of.marks != "":
		r.Slot, r.Anchor = int(slot.Of(of.marks)), true
	case of.key != "":
		r.Slot = int(slot.Of(of.key))
	}
	re, ok := errors.AsType[*rueidis.RedisError](err)
	if !ok || k != Moved && k != Ask {
		return r
	}
	host, _, _ := net.SplitHostPort(n.Addr)
	if s, addr, ok := parseRedirect(re.Error(), host); ok {
		r.Slot, r.Addr = int(s), addr
	}
	return r
}

// maxRedirect bounds what is read as a redirection.
const maxRedirect = 512

// parseRedirect reads "MOVED slot host:port" and "ASK slot host:port". An empty host
// means that of the connection. addr is "" where none is named that can be dialled.
func parseRedirect(text, host string) (s uint16, addr string, ok bool) {
	if len(text) > maxRedirect {
		return 0, "", false
	}
	words := strings.Fields(text)
	if len(words) != 3 || words[0] != "MOVED" && words[0] != "ASK" {
		return 0, "", false
	}
	s, err := slot.Parse(words[1])
	if err != nil {
		return 0, "", false
	}
	i := strings.LastIndexByte(words[2], ':')
	if i < 0 {
		return s, "", true
	}
	if named := strings.Trim(words[2][:i], "[]"); named != "" {
		host = named
	}
	port, err := strconv.ParseUint(words[2][i+1:], 10, 16)
	if err != nil || port == 0 || !hostLike(host) {
		return s, "", true
	}
	return s, net.JoinHostPort(strings.Clone(host), strconv.FormatUint(port, 10)), true
}

// hostLike reports whether a text can be a name or an IP address: Redis says "?" for
// what it does not know.
func hostLike(host string) bool {
	return host != "" && len(host) <= 255 && strings.Trim(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%") == ""
}

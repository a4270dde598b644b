package cluster

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/evercache/evercache/internal/sentinel"
	"github.com/evercache/evercache/internal/slot"
)

// Addr is the address of a node. It is that of package sentinel.
type Addr = sentinel.Addr

// Flags are the flags of a node in CLUSTER NODES.
type Flags uint8

// The flags that decisions rest on.
const (
	FlagMaster     Flags = 1 << iota
	FlagReplica          // slave
	FlagSuspected        // fail?: this one node holds it down
	FlagFailed           // fail: a majority of the masters does
	FlagHandshake        // not of the Cluster yet
	FlagNoAddr           // its address is not known
	FlagNoFailover       // it is not to be promoted
	flagMyself
)

var flagNames = map[string]Flags{
	"myself": flagMyself, "master": FlagMaster, "slave": FlagReplica, "replica": FlagReplica, "fail?": FlagSuspected,
	"fail": FlagFailed, "handshake": FlagHandshake, "noaddr": FlagNoAddr, "nofailover": FlagNoFailover,
}

// Has reports whether all of want are set.
func (f Flags) Has(want Flags) bool { return f&want == want }

// Line is what one node says of a node.
type Line struct {
	ID     ID
	Addr   Addr // as announced; zero where it is not known
	Name   Addr // the same with the announced host name; zero without one
	Flags  Flags
	Master ID    // of a replica
	Epoch  int64 // config epoch; a replica's is that of its master
	LinkUp bool  // the one who says it has a connection to it
	Slots  []slot.Range
}

// Nodes is the answer to CLUSTER NODES.
type Nodes struct {
	Self      Line
	Migrating slot.Set // slots that Self gives away
	Importing slot.Set // slots that it is about to get
	Lines     []Line   // all, sorted by id, Self among them
}

// Bounds of an answer to CLUSTER NODES. Redis is made for 1000 nodes.
const (
	MaxNodes = 2000
	maxText  = 1 << 20
	maxEpoch = 1 << 62
)

// ParseNodes reads the answer to CLUSTER NODES. An answer with one line that makes
// no sense is refused as a whole: half of it would be another Cluster. A line's
// address may be unusable; that of a node whose address nobody knows is.
func ParseNodes(text string) (Nodes, error) {
	n, err := parseNodes(text)
	if err != nil {
		return Nodes{}, fmt.Errorf("cluster nodes: %w", err)
	}
	return n, nil
}

func parseNodes(text string) (Nodes, error) {
	if len(text) > maxText {
		return Nodes{}, fmt.Errorf("%d bytes", len(text))
	}
	var n Nodes
	var given slot.Set
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(n.Lines) == MaxNodes {
			return Nodes{}, fmt.Errorf("more than %d nodes", MaxNodes)
		}
		if err := n.add(f, &given); err != nil {
			return Nodes{}, fmt.Errorf("node %s: %w", quote(f[0]), err)
		}
	}
	if n.Self.ID.IsZero() {
		return Nodes{}, errors.New("no line is the node's own")
	}
	slices.SortFunc(n.Lines, func(a, b Line) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	for i := range n.Lines[1:] {
		if n.Lines[i].ID == n.Lines[i+1].ID {
			return Nodes{}, fmt.Errorf("node %s is listed twice", n.Lines[i].ID)
		}
	}
	return n, nil
}

// add reads "id address flags master ping pong epoch link slot …".
func (n *Nodes) add(f []string, given *slot.Set) error {
	if len(f) < 8 {
		return fmt.Errorf("%d fields instead of 8", len(f))
	}
	l := Line{LinkUp: f[7] == "connected"}
	var err, errMaster, errEpoch error
	l.ID, err = ParseID(f[0])
	if f[3] != "-" {
		l.Master, errMaster = ParseID(f[3])
	}
	l.Epoch, errEpoch = parseEpoch(f[6])
	if err := cmp.Or(err, errMaster, errEpoch); err != nil {
		return err
	}
	for name := range strings.SplitSeq(f[2], ",") {
		l.Flags |= flagNames[name]
	}
	if !l.Flags.Has(FlagNoAddr) {
		l.Addr, l.Name = parseEndpoint(f[1])
	}
	myself := l.Flags.Has(flagMyself)
	l.Flags &^= flagMyself
	for _, word := range f[8:] {
		if err := n.addSlots(&l, word, myself, given); err != nil {
			return err
		}
	}
	if myself && !n.Self.ID.IsZero() {
		return errors.New("a second line is the node's own")
	}
	if myself {
		n.Self = l
	}
	n.Lines = append(n.Lines, l)
	return nil
}

// addSlots reads "5", "0-5460", "[5->-id]" (given away) or "[5-<-id]" (awaited).
func (n *Nodes) addSlots(l *Line, word string, myself bool, given *slot.Set) error {
	if inner, ok := strings.CutPrefix(word, "["); ok {
		number, way, ok := strings.Cut(strings.TrimSuffix(inner, "]"), "-")
		s, err := slot.Parse(number)
		if err != nil || !ok || way == "" {
			return fmt.Errorf("moving slot %s makes no sense", quote(word))
		}
		switch {
		case !myself: // no node knows this of another
		case way[0] == '>':
			n.Migrating.Add(s)
		case way[0] == '<':
			n.Importing.Add(s)
		}
		return nil
	}
	r, err := slot.ParseRange(word)
	if err != nil {
		return err
	}
	set := slot.SetOf(r)
	if given.Meets(set) {
		return fmt.Errorf("slots %s are given twice", r)
	}
	given.AddSet(set)
	l.Slots = append(l.Slots, r)
	return nil
}

// parseEndpoint reads "ip:port@busport,hostname,name=value…". Redis 3 has no bus
// port, Redis 6 no host name. What cannot be dialled is left out.
func parseEndpoint(text string) (addr, name Addr) {
	text, more, _ := strings.Cut(text, ",")
	host, _, _ := strings.Cut(more, ",")
	text, _, _ = strings.Cut(text, "@")
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return Addr{}, Addr{}
	}
	addr, _ = sentinel.ParseAddr(text[:i], text[i+1:])
	if host != "" && !strings.Contains(host, "=") {
		name, _ = sentinel.ParseAddr(host, text[i+1:])
	}
	return own(addr), own(name)
}

// own lets an address outlive the text that it was read from.
func own(a Addr) Addr { return Addr{Host: strings.Clone(a.Host), Port: a.Port} }

func parseEpoch(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > maxEpoch || text[0] == '+' || text[0] == '-' {
		return 0, fmt.Errorf("epoch %s makes no sense", quote(text))
	}
	return n, nil
}

// find is what a sorted list of lines says of a node; nil: nothing.
func find(lines []Line, id ID) *Line {
	i, ok := slices.BinarySearchFunc(lines, id, func(l Line, id ID) int { return bytes.Compare(l.ID[:], id[:]) })
	if !ok {
		return nil
	}
	return &lines[i]
}

func sameLine(a, b Line) bool {
	return a.ID == b.ID && a.Addr == b.Addr && a.Name == b.Name && a.Flags == b.Flags && a.Master == b.Master &&
		a.Epoch == b.Epoch && a.LinkUp == b.LinkUp && slices.Equal(a.Slots, b.Slots)
}

package chaos

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Act is what a caller asked of its cache.
type Act uint8

const (
	Put          Act = iota // store a value
	PutBrief                // store one that does not live long
	Insert                  // store it if there is none
	Remove                  // delete the key
	RemovePrefix            // delete every key of the group
	Prolong                 // let the key live for longer; it changes no value
	Look                    // read
)

var actNames = [...]string{"put", "put briefly", "insert", "remove", "remove prefix", "prolong", "look"}

func (a Act) String() string { return actNames[a] }

func (a Act) writes() bool  { return a == Put || a == PutBrief || a == Insert }
func (a Act) deletes() bool { return a == Remove || a == RemovePrefix }

// Outcome is how a call ended.
type Outcome uint8

const (
	// Unsure: an error. A write may or may not take effect, at any time.
	Unsure Outcome = iota
	// Unchanged: the answer says that nothing was done (an Insert of a key that
	// has a value), or that nobody was there to do it.
	Unchanged
	// InMemory, InJournal, AtMaster and AtReplicas are acknowledgements, the
	// weakest first.
	InMemory
	InJournal
	AtMaster
	AtReplicas
	// Found and Missing are answers of a Look; Unknown says that nobody could
	// tell.
	Found
	Missing
	Unknown
)

var outcomeNames = [...]string{"failed", "unchanged", "memory", "journaled", "master", "replicated", "found", "missing", "unknown"}

func (o Outcome) String() string { return outcomeNames[o] }

func (o Outcome) acknowledged() bool { return o >= InMemory && o <= AtReplicas }

// Source is who answered a Look.
type Source uint8

const (
	Nobody Source = iota
	FromMemory
	FromRedis
	FromLoader
)

var sourceNames = [...]string{"nobody", "memory", "redis", "loader"}

func (s Source) String() string { return sourceNames[s] }

// Key names a key in eight bytes: millions of them are recorded. Keys of one
// space and group share a prefix.
type Key struct {
	Space byte // a letter
	Group uint16
	N     uint32
}

// Prefix is what the names of the key's group begin with.
func (k Key) Prefix() string { return string(rune(k.Space)) + strconv.Itoa(int(k.Group)) + "-" }

func (k Key) String() string { return k.Prefix() + strconv.FormatUint(uint64(k.N), 10) }

// group is the key without its number: what a RemovePrefix is recorded under.
func (k Key) group() Key { return Key{Space: k.Space, Group: k.Group} }

// Value numbers the values of a trace. Most are written once, so a read tells
// which write it saw. Where a Traffic repeats values, it saw one of several.
type Value uint32

const (
	// Nothing is the absence of a value.
	Nothing Value = 0
	// Foreign is a value that nobody has written.
	Foreign Value = 1<<32 - 1
)

func (v Value) String() string {
	switch v {
	case Nothing:
		return "nothing"
	case Foreign:
		return "a foreign value"
	}
	return "v" + strconv.FormatUint(uint64(v), 10)
}

// Sizes of large values in bytes.
const (
	LargeBytes = 40_000
	HugeBytes  = 900_000
)

// Large is the text of a value where some are large: one in 16 is of LargeBytes,
// one in 128 of HugeBytes. It begins as String does.
func (v Value) Large() string {
	size := 0
	switch {
	case v%128 == 0:
		size = HugeBytes
	case v%16 == 0:
		size = LargeBytes
	default:
		return v.String()
	}
	head := fmt.Sprintf("%v/%d/", v, size)
	return head + strings.Repeat(".", size-len(head))
}

// ParseValue reads what String or Large wrote; anything else is Foreign.
func ParseValue(s string) Value {
	head, _, large := strings.Cut(s, "/")
	digits, ok := strings.CutPrefix(head, "v")
	n, err := strconv.ParseUint(digits, 10, 32)
	v := Value(n)
	if !ok || err != nil || v == Nothing || v.String() != head || large && v.Large() != s {
		return Foreign
	}
	return v
}

// Event is one call of a process as its caller saw it, in few bytes.
type Event struct {
	Start, End int64 // nanoseconds since the trace began
	Key        Key   // of a RemovePrefix: its space and group
	Value      Value // written, or read
	Age        int32 // milliseconds, of a Look that found something
	Proc       uint8
	Act        Act
	Outcome    Outcome
	Source     Source
	Fresh      bool
	Coherent   bool
}

// Took is how long the caller waited.
func (e Event) Took() time.Duration { return time.Duration(e.End - e.Start) }

func (e Event) String() string {
	s := fmt.Sprintf("%s … %s  process %d  %-13s %-8s", clockOf(e.Start), clockOf(e.End), e.Proc, e.Act, e.subject())
	if e.Act != Look {
		if e.Act.writes() {
			s += fmt.Sprintf(" = %v", e.Value)
		}
		return fmt.Sprintf("%s → %v", s, e.Outcome)
	}
	s += fmt.Sprintf(" → %v", e.Outcome)
	if e.Outcome == Found {
		s += fmt.Sprintf(" %v from %v, %d ms old, fresh %v, coherent %v", e.Value, e.Source, e.Age, e.Fresh, e.Coherent)
	}
	return s
}

func (e Event) subject() string {
	if e.Act == RemovePrefix {
		return e.Key.Prefix() + "*"
	}
	return e.Key.String()
}

// clockOf is a moment of a trace in seconds.
func clockOf(ns int64) string { return fmt.Sprintf("%9.4fs", time.Duration(ns).Seconds()) }

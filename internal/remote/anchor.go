package remote

import (
	"strings"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache/internal/slot"
)

// What is noted for a whole class, its marks and its lives, is in one key each. In a
// Cluster that key would be on one node, and a script of another node could not read
// it. So there every class has its marks and lives at 256 anchors: once for each block
// of 64 slots, in the first slot of the block. Who notes something notes it at all of
// them. A script is told the names of one anchor that its node has, as arguments: a
// declared key must be in the slot of the others. An anchor moves with its slot, so
// whichever is looked at, nothing is missed.

// Anchor is one of the anchors.
type Anchor uint8

// anchors is how many there are.
const anchors = 256

// Slot is the slot in which the anchor's keys are.
func (a Anchor) Slot() uint16 { return uint16(a) * (slot.Count / anchors) }

// AnchorFor is an anchor for a script on a key in slot near: one that the node owns and
// that does not move, the next one from near on, so that a node's keys use all that it
// has. Not ok: it has none.
func AnchorFor(owned, moving *slot.Set, near uint16) (_ Anchor, ok bool) {
	first := near / (slot.Count / anchors)
	for i := range uint16(anchors) {
		a := Anchor((first + i) % anchors)
		if owned.Has(a.Slot()) && !moving.Has(a.Slot()) {
			return a, true
		}
	}
	return 0, false
}

// AnchorsIn are the anchors whose slots are in a set: where to note what concerns a
// class, those that move included.
func AnchorsIn(owned *slot.Set) (all []Anchor) {
	for i := range anchors {
		if a := Anchor(i); owned.Has(a.Slot()) {
			all = append(all, a)
		}
	}
	return all
}

// MarksAt is MarksKey at an anchor, and LivesAt is LivesKey.
func MarksAt(prefix, key string, a Anchor) string {
	return prefix + "~p:" + a.tag() + classOf(prefix, key)
}

// LivesAt is LivesKey at an anchor.
func LivesAt(prefix, key string, a Anchor) string {
	return prefix + "~t:" + a.tag() + classOf(prefix, key)
}

func (a Anchor) tag() string { return "{" + slot.TagFor(a.Slot()) + "}" }

// ClassOfMarks is the class whose marks are under a key, at an anchor or not.
func ClassOfMarks(prefix, key string) (class string, ok bool) {
	class, ok = strings.CutPrefix(key, prefix+"~p:")
	if rest, tagged := strings.CutPrefix(class, "{"); ok && tagged {
		_, class, ok = strings.Cut(rest, "}")
	}
	return class, ok && class != ""
}

// anchoredScripts are the scripts that read what is at an anchor, as they are run in a
// Cluster: KEYS are those in the slot of the key, and what is at the anchor is behind
// the other arguments. Each begins with a question that fails where the node has not the
// anchor: a script that asked only where errors are values would take that for marks
// that make no sense, and delete the key.
var anchoredScripts = map[*lua]*lua{
	scriptFill: newScript(`local KEYS = {KEYS[1], KEYS[2], ARGV[#ARGV], KEYS[3]}
redis.call('TYPE', KEYS[3])
` + scriptFill.text),
	scriptOlder: newScript(`local KEYS = {KEYS[1], '', '', ARGV[#ARGV]}
redis.call('TYPE', KEYS[4])
` + scriptOlder.text),
	scriptDeleted: newScript(`local KEYS = {KEYS[1], KEYS[2], ARGV[#ARGV]}
redis.call('TYPE', KEYS[3])
` + scriptDeleted.text),
	scriptRestore:    newScript(withAnchor + scriptRestore.text),
	scriptInvalidate: newScript(withAnchor + scriptInvalidate.text),
	scriptTouch:      newScript(withAnchor + scriptTouch.text),
}

const withAnchor = `local KEYS = {KEYS[1], KEYS[2], ARGV[#ARGV - 1], ARGV[#ARGV], KEYS[3]}
redis.call('TYPE', KEYS[3])
redis.call('TYPE', KEYS[4])
`

// anchored is a step of one of them: keys are in one slot, and names are at the anchor.
func (s step) anchored(keys, names []string) step {
	s.script, s.keys, s.args = anchoredScripts[s.script], keys, append(s.args, names...)
	return s
}

// AtAnchor lets the marks and lives of a Cond be those at an anchor. Not ok: the node has
// none, and nobody can tell what others have written: see Replay.
func (c *Cond) AtAnchor(prefix, key string, a Anchor, ok bool) {
	c.Anchored, c.Marks, c.Lives = true, "", ""
	if ok {
		c.Marks, c.Lives = MarksAt(prefix, key, a), LivesAt(prefix, key, a)
	}
}

// scriptBury is for a node without an anchor: KEYS key, tombstone; ARGV hi, life of
// the tombstone. Nobody can tell what came before our write and what after, so the key is
// removed, as bury does it. Returns a Result.
var scriptBury = newScript(luaNow + luaTomb + `local t = tomb(ARGV[2])
local at = math.max(tonumber(ARGV[1]), t and t + 1 or now, now)
redis.call('DEL', K)
redis.call('SET', T, stamp(at) .. ':', 'PX', ARGV[2])
return 2`)

// unanchored is how a write is put back without an anchor. A Touch moves an end only
// where it is one of our own: there are no lives under the key of a trace.
func (r *Replay) unanchored(s step) step {
	if r.Kind == Retime {
		s.keys = []string{r.Key, r.Tomb, r.Tomb, r.Trace, r.Trace}
		return s
	}
	return step{
		script: scriptBury,
		keys:   []string{r.Key, r.Tomb},
		args:   []string{decimal(r.Hi), decimal(TombstoneLife.Milliseconds())},
		plain:  func(n *Node) rueidis.Completed { return n.b().Del().Key(r.Key).Build() },
	}
}

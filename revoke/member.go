package revoke

import (
	"crypto/rand"
	"encoding/binary"
	"math"
	"strconv"
	"strings"
)

// In Redis an entry is a member of a sorted set, scored by the second of its
// expiry: a letter, the hash, and for a subject the second of its cut-off, whose
// parts are in the score.
const (
	idBytes      = 1 + 16
	subjectBytes = idBytes + 4
)

func (e entry) member() string {
	b := make([]byte, 0, subjectBytes)
	if !e.subject {
		return string(append(append(b, kindID), e.key[:]...))
	}
	b = append(append(b, kindSubject), e.key[:]...)
	return string(binary.BigEndian.AppendUint32(b, e.second()))
}

// second is that of the cut-off.
func (e entry) second() uint32 { return uint32(e.cut / perSecond) }

func (e entry) score() string {
	if !e.subject {
		return strconv.FormatUint(uint64(e.exp), 10)
	}
	return strconv.FormatFloat(subjectScore(e.exp, e.cut), 'f', -1, 64)
}

// parseEntry reads a member and its score. Anybody can have written them.
func parseEntry(member, score string) (e entry, ok bool) {
	switch {
	case len(member) == idBytes && member[0] == kindID:
	case len(member) == subjectBytes && member[0] == kindSubject:
		e.subject = true
	default:
		return entry{}, false
	}
	copy(e.key[:], member[1:])
	f, err := strconv.ParseFloat(score, 64)
	if err != nil || math.IsNaN(f) || f < 1 {
		return entry{}, false
	}
	if e.subject {
		e.exp, e.cut = readSubjectScore(f, binary.BigEndian.Uint32([]byte(member[idBytes:])))
		return e, true
	}
	e.exp = uint32(min(math.Ceil(f), math.MaxUint32)) // too long is safe
	return e, true
}

// A marker is a member that says: this set is complete. It names the secret that
// the ids are hashed with, and the life of the dataset for which that was found,
// which is another one after every restart and promotion.
type marker struct{ print, life string }

const markerHead = "m:"

func (m marker) member() string { return markerHead + m.print + ":" + m.life }

func parseMarker(member string) (m marker, ok bool) {
	rest, ok := strings.CutPrefix(member, markerHead)
	if !ok {
		return m, false
	}
	m.print, m.life, ok = strings.Cut(rest, ":")
	return m, ok && m.print != ""
}

// A claim is a member too, of a process that is putting back what Redis lacks:
// as long as it is there, the set has not been emptied meanwhile. One that has held
// a complete set says so until it has put back all it has: who starts waits for it.
const (
	claimHead  = "p:"
	healerHead = claimHead + "k:"   // of a process that has held a complete set
	claimScore = "9000000000000000" // never expires, and is no marker
)

func newClaim(known bool, process string) string {
	head := claimHead
	if known {
		head = healerHead
	}
	return head + process + ":" + rand.Text()[:8]
}

// ours reports whether a member is one that is not an entry.
func ours(member string) bool {
	return strings.HasPrefix(member, markerHead) || strings.HasPrefix(member, claimHead)
}

// item is one entry of the stream.
type item struct {
	id      string
	number  int64 // 0: not one of ours
	entries []entry
	garbage int
}

// parseItem reads the fields of a stream entry: n and its number, then scores
// and members.
func parseItem(id string, fields []string) item {
	it := item{id: id}
	if len(fields) < 2 || len(fields)%2 != 0 || fields[0] != "n" {
		it.garbage++
		return it
	}
	n, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil || n < 1 {
		it.garbage++
		return it
	}
	it.number = n
	for f := fields[2:]; len(f) > 0; f = f[2:] {
		if e, ok := parseEntry(f[1], f[0]); ok {
			it.entries = append(it.entries, e)
		} else {
			it.garbage++
		}
	}
	return it
}

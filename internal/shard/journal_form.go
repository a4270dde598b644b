package shard

import (
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/clock"
	"github.com/evercache/evercache/internal/journal"
	"github.com/evercache/evercache/internal/outbox"
)

// The form in the file. The key of an entry is kind-less, so that a delete takes
// the place of a set: "k" and the key, or "p" and the prefix. Times are of the
// wall clock, since ours begins anew with each process.

const (
	entryRecord byte = 1
	entryPrefix byte = 2
	// EntryForeign is of another package: see kit.Kit.
	entryForeign byte = 3
	// entryTaken and entryTakenPrefix are records and prefixes that a master has
	// taken: the process, the number of the barrier that covers it, the record.
	entryTaken       byte = 4
	entryTakenPrefix byte = 5
	// entryGaps are the gaps of a process, by its name.
	entryGaps byte = 6
)

// ForeignKey begins the keys of EntryForeign.
const foreignKey = "x"

func gapsKey(process string) string { return "u" + process }

// Gap is what a master did not have when it was dialled: of the numbers above
// over and below under no later barrier tells anything.
type Gap struct{ Over, Under uint64 }

// maxGaps bounds those of one process. Of more, two become one: then more is
// sent again than must be.
const maxGaps = 64

func addGap(gaps []Gap, g Gap) []Gap {
	gaps = append(slices.Clone(gaps), g)
	if len(gaps) > maxGaps {
		gaps[1] = Gap{min(gaps[0].Over, gaps[1].Over), max(gaps[0].Under, gaps[1].Under)}
		gaps = gaps[1:]
	}
	return gaps
}

// vouched reports whether a master that holds barrier held has what has number.
func vouched(gaps []Gap, held, number uint64) bool { return number <= held && !Missed(gaps, number) }

// Missed reports whether a master is known to have lacked what has number.
func Missed(gaps []Gap, number uint64) bool {
	return slices.ContainsFunc(gaps, func(g Gap) bool { return g.Over < number && number < g.Under })
}

func encodeGaps(process string, gaps []Gap) journal.Entry {
	var b []byte
	for _, g := range gaps {
		b = binary.AppendUvarint(binary.AppendUvarint(b, g.Over), g.Under)
	}
	return journal.Entry{Kind: entryGaps, Key: gapsKey(process), Payload: b}
}

func decodeGaps(b []byte) (gaps []Gap, ok bool) {
	for len(b) > 0 {
		over, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, false
		}
		under, k := binary.Uvarint(b[n:])
		if k <= 0 {
			return nil, false
		}
		gaps, b = append(gaps, Gap{over, under}), b[n+k:]
	}
	return gaps, true
}

// encodeTaken makes of a waiting entry one that a master has taken.
func encodeTaken(e journal.Entry, process string, number uint64) journal.Entry {
	return takenEntry(appendTaken(nil, process, number), e)
}

func appendTaken(b []byte, process string, number uint64) []byte {
	return binary.AppendUvarint(appendText(b, process), number)
}

// takenEntry puts what appendTaken made before the payload of e.
func takenEntry(b []byte, e journal.Entry) journal.Entry {
	e.Payload = append(b, e.Payload...)
	e.Kind += entryTaken - entryRecord
	return e
}

// cutTaken is the reverse.
func cutTaken(e journal.Entry) (waiting journal.Entry, process string, number uint64, ok bool) {
	process, b, ok := cutText(e.Payload)
	number, n := binary.Uvarint(b)
	if !ok || n <= 0 || process == "" || number == 0 {
		return e, "", 0, false
	}
	e.Payload = b[n:]
	e.Kind -= entryTaken - entryRecord
	return e, process, number, true
}

func recordKey(key string) string  { return "k" + key }
func prefixKey(text string) string { return "p" + text }

const (
	flagInvalidate = 1 << iota
	flagCertain    // of earlier versions: it says nothing
	flagLate
	flagMixed
)

// encodeRecord refers to the value, which nobody changes.
func encodeRecord(r *outbox.Record, c *clock.Clock) journal.Entry {
	b := appendRecord(make([]byte, 0, headRoom+len(r.Class)), r, c)
	return journal.Entry{Kind: entryRecord, Key: recordKey(r.Key), Payload: b, Rest: r.Value}
}

// encodeTakenRecord is EncodeTaken of EncodeRecord, with one allocation.
func encodeTakenRecord(r *outbox.Record, c *clock.Clock, process string, number uint64) journal.Entry {
	b := appendTaken(make([]byte, 0, 2*headRoom+len(r.Class)), process, number)
	return journal.Entry{Kind: entryTaken, Key: recordKey(r.Key), Payload: appendRecord(b, r, c), Rest: r.Value}
}

// headRoom is what stands before the value of most records.
const headRoom = 96

// appendRecord appends all but the value.
func appendRecord(b []byte, r *outbox.Record, c *clock.Clock) []byte {
	flags := byte(0)
	if r.Invalidate {
		flags |= flagInvalidate
	}
	if r.Late {
		flags |= flagLate
	}
	if r.Mixed {
		flags |= flagMixed
	}
	b = append(b, byte(r.Kind), flags)
	for _, n := range [...]int64{c.Wall(r.Since), c.Wall(r.Ends), r.Lo, r.Hi, r.Floor, int64(r.TTL)} {
		b = binary.AppendVarint(b, n)
	}
	b = appendText(b, r.Class)
	var known [outbox.MaxKnown * 2 * 21]byte
	text := appendPriors(known[:0], r)
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// joinedPrefix ends a prefix that was made of several.
const joinedPrefix = 1

func encodePrefix(p outbox.Prefix, c *clock.Clock) journal.Entry {
	var b []byte
	for _, n := range []int64{c.Wall(p.Since), p.Lo, p.Hi} {
		b = binary.AppendVarint(b, n)
	}
	if p.Joined {
		b = append(b, joinedPrefix)
	}
	return journal.Entry{Kind: entryPrefix, Key: prefixKey(p.Text), Payload: b}
}

var errJournalRecord = errors.New("unknown form")

// decodeEntry returns a record or a prefix.
func decodeEntry(e journal.Entry, c *clock.Clock) (*outbox.Record, *outbox.Prefix, error) {
	switch {
	case e.Kind == entryRecord && len(e.Key) > 1 && e.Key[0] == 'k':
		r, err := decodeRecord(e.Key[1:], e.Payload, c)
		return r, nil, err
	case e.Kind == entryPrefix && len(e.Key) > 0 && e.Key[0] == 'p':
		ns, rest, ok := varints(e.Payload, 3)
		joined := len(rest) == 1 && rest[0] == joinedPrefix
		if !ok || len(rest) > 0 && !joined {
			return nil, nil, errJournalRecord
		}
		return nil, &outbox.Prefix{Text: e.Key[1:], Since: c.Unwall(ns[0]), Lo: ns[1], Hi: ns[2], Joined: joined}, nil
	}
	return nil, nil, errJournalRecord
}

func decodeRecord(key string, b []byte, c *clock.Clock) (*outbox.Record, error) {
	if len(b) < 2 || outbox.Kind(b[0]) > outbox.Invalidate || b[1]&^(flagInvalidate|flagCertain|flagLate|flagMixed) != 0 {
		return nil, errJournalRecord
	}
	ns, rest, ok := varints(b[2:], 6)
	if !ok {
		return nil, errJournalRecord
	}
	class, rest, ok1 := cutText(rest)
	priors, rest, ok2 := cutText(rest)
	if !ok1 || !ok2 {
		return nil, errJournalRecord
	}
	r := &outbox.Record{
		Kind: outbox.Kind(b[0]), Key: key, Class: class, Value: rest, Priors: priorsOf(priors),
		Since: c.Unwall(ns[0]), Ends: c.Unwall(ns[1]), Lo: ns[2], Hi: ns[3], Floor: ns[4], TTL: time.Duration(ns[5]),
		Invalidate: b[1]&flagInvalidate != 0,
		Late:       b[1]&flagLate != 0, Mixed: b[1]&flagMixed != 0,
	}
	if r.TTL < 0 || r.TTL > outbox.MaxTTL || ns[1]-ns[0] > int64(outbox.MaxTTL) {
		return nil, errJournalRecord
	}
	return r, nil
}

// appendPriors appends what values of the key may be known by: "from-to", by spaces.
func appendPriors(b []byte, r *outbox.Record) []byte {
	var few [2]outbox.End
	for i, e := range r.KnownIn(few[:0]) {
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendInt(b, e.From, 10)
		b = strconv.AppendInt(append(b, '-'), e.To, 10)
	}
	return b
}

// priorsOf reads that, and leaves out what earlier versions wrote there.
func priorsOf(text string) (ends []outbox.End) {
	for word := range strings.FieldsSeq(text) {
		from, to, ok := strings.Cut(word, "-")
		a, err1 := strconv.ParseInt(from, 10, 64)
		b, err2 := strconv.ParseInt(to, 10, 64)
		if ok && err1 == nil && err2 == nil && a > 0 && b >= a && len(ends) < outbox.MaxKnown {
			ends = append(ends, outbox.End{From: a, To: b})
		}
	}
	return ends
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func cutText(b []byte) (s string, rest []byte, ok bool) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(len(b)-k) {
		return "", nil, false
	}
	return string(b[k:][:n]), b[k:][n:], true
}

func varints(b []byte, n int) (ns []int64, rest []byte, ok bool) {
	for range n {
		v, k := binary.Varint(b)
		if k <= 0 {
			return nil, nil, false
		}
		ns, b = append(ns, v), b[k:]
	}
	return ns, b, true
}

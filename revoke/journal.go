package revoke

import (
	"encoding/binary"
)

// What the journal holds is the member and the expiry.

func (l *List) journalKey(k key) string { return l.journalPrefix() + string(k[:]) }

func (l *List) journalPrefix() string { return "r:" + l.policy.Namespace + ":" }

func encode(e entry) []byte {
	return append(binary.BigEndian.AppendUint32(nil, e.exp), e.member()...)
}

func decode(b []byte) (entry, bool) {
	if len(b) < 4 {
		return entry{}, false
	}
	e, ok := parseEntry(string(b[4:]), "1")
	e.exp = binary.BigEndian.Uint32(b)
	return e, ok
}

// recall takes up what an earlier process has left in the journal.
func (l *List) recall() {
	for _, payload := range l.kit.Kept(l.journalPrefix()) {
		e, ok := decode(payload)
		if !ok {
			l.stats.garbage.Add(1)
			continue
		}
		if is, _, ok := l.set.add(e, 0); ok {
			l.own.add(is, nil, true)
		}
	}
}

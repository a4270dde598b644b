package backup

import (
	"strconv"
	"strings"

	"github.com/evercache/evercache/internal/remote"
)

// outcome is what has become of a record.
type outcome uint8

const (
	undone outcome = iota
	restored
	existed
	expired
	refused
)

// item is a record on its way.
type item struct {
	Record
	got outcome
	why string // of refused
	// doubt: it was sent, and nobody knows whether it got there.
	doubt bool
}

// batch is what is sent at once, and kept until it is safe.
type batch struct {
	items []item
	bytes int64
}

func (b *batch) full(more int64, most int) bool {
	return len(b.items) >= most || len(b.items) > 0 && b.bytes+more > batchBytes
}

// add copies the record, whose payload is the reader's.
func (b *batch) add(r Record) {
	r.Payload = append([]byte(nil), r.Payload...)
	b.items = append(b.items, item{Record: r})
	b.bytes += r.size()
}

// command is the RESTORE of a record.
func (i *item) command(replace bool) []string {
	c := []string{"RESTORE", i.Key, strconv.FormatInt(i.ExpireAt, 10), string(i.Payload)}
	if replace {
		c = append(c, "REPLACE")
	}
	return append(c, "ABSTTL")
}

// after is what a reply to RESTORE means. lasting: no repetition helps, and the restore
// ends. again: another master has to be found, or this one to recover.
func (i *item) after(err error) (got outcome, lasting, again bool) {
	if err == nil {
		return restored, false, false
	}
	text := err.Error()
	switch k := remote.KindOf(err); {
	case strings.HasPrefix(text, "BUSYKEY"):
		if i.got == restored { // by an earlier attempt
			return restored, false, false
		}
		return existed, false, false
	case strings.Contains(text, "Bad data format"), strings.Contains(text, "DUMP payload"), strings.Contains(text, "Invalid TTL"):
		return refused, false, false
	case k == remote.OOM, k == remote.Misconf, k == remote.NoPerm, k == remote.Auth, k == remote.Lacks, k == remote.CrossSlot:
		return undone, true, false
	case k == remote.UnknownReply, k == remote.Logical:
		return undone, true, false
	}
	return undone, false, true
}

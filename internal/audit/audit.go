// Package audit keeps a log of who has done what that others feel: prefixes deleted, tokens
// revoked, callers turned away. It is a file of JSON lines of its own. Each line has the hash
// of the one before it, so that a line that is changed or taken out is noticed (see [Verify]).
//
// Nobody waits for it. Events wait in a bounded queue; a disk that hangs or is full loses
// events and not requests, and the loss is counted, reported and written down when the disk
// works again.
package audit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// What has happened.
const (
	Started       = "service.started"
	Stopped       = "service.stopped"
	PrefixDeleted = "prefix.deleted"
	Revoked       = "token.revoked"   // one token
	RevokedAll    = "subject.revoked" // all tokens of a subject that were issued before a time
	Refused       = "caller.refused"  // no token, a wrong one, or one that is not for this call
	Lost          = "events.lost"     // of this log

	// Of commands: each is written before anything is done, and again at the end. Where the
	// second is missing, the command was killed.
	SwitchoverBegun = "switchover.begun"
	SwitchoverEnded = "switchover.ended"
	DrillBegun      = "drill.begun"
	DrillEnded      = "drill.ended"
	RestoreBegun    = "restore.begun"
	RestoreEnded    = "restore.ended"
)

// Event is one line. Nothing in it is a key, a value, a token or an id: those are digests.
type Event struct {
	Event   string `json:"event"`
	Outcome string `json:"outcome"` // ok, or why not: the code of the answer
	// Actor is whose token it was: the setting that has it. "open" where none is needed.
	Actor     string `json:"actor,omitempty"`
	Remote    string `json:"remote,omitempty"` // the caller's address
	RequestID string `json:"request_id,omitempty"`
	Class     string `json:"class,omitempty"`
	Target    string `json:"target,omitempty"` // see Digest; "*" for all of a class
	// Count is how many keys were deleted, callers were refused or events are lost.
	Count      *int64 `json:"count,omitempty"`
	Durability string `json:"durability,omitempty"` // of what was done
	Detail     string `json:"detail,omitempty"`
}

// line is an Event with its place.
type line struct {
	Time time.Time `json:"time"`
	Seq  uint64    `json:"seq"`
	Event
	Prev string `json:"prev"` // of the line before: half of its SHA-256
}

// Digest is what stands for a text that is not to be written down: the first half of its
// HMAC-SHA256 with a key, else of its SHA-256. A text that can be guessed can be found by its
// SHA-256.
func Digest(key, text string) string {
	if key != "" {
		h := hmac.New(sha256.New, []byte(key))
		h.Write([]byte(text))
		return "hmac:" + half(h.Sum(nil))
	}
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + half(sum[:])
}

func half(sum []byte) string { return hex.EncodeToString(sum[:sha256.Size/2]) }

func hashOf(line []byte) string {
	sum := sha256.Sum256(line)
	return half(sum[:])
}

// Bounds of what waits, and of one event's texts.
const (
	mostWaiting = 4096
	mostText    = 512
)

// Add writes an event down soon. It never waits. A nil Log takes everything and does nothing.
func (l *Log) Add(e Event) {
	if l == nil {
		return
	}
	l.count(e.Event)
	select {
	case l.queue <- entry{time.Now(), e.bounded()}:
	default:
		l.lost.Add(1)
	}
}

// bounded is the event with no text that is longer than allowed.
func (e Event) bounded() Event {
	for _, text := range []*string{&e.Actor, &e.Remote, &e.RequestID, &e.Class, &e.Target, &e.Detail, &e.Outcome} {
		if len(*text) > mostText {
			*text = (*text)[:mostText]
		}
	}
	return e
}

// Close writes down what waits and closes the file, or gives up when ctx ends; then what waits
// is lost. It returns how many events are missing in the file.
func (l *Log) Close(ctx context.Context) (lost uint64) {
	if l == nil {
		return 0
	}
	l.end.Do(func() { close(l.ending) })
	select {
	case <-l.ended:
	case <-ctx.Done():
		return l.lost.Load() + uint64(len(l.queue)) + 1
	}
	return l.lost.Load()
}

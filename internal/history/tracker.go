package history

import (
	"fmt"
	"time"

	"github.com/evercache/evercache/internal/sentinel"
)

// Event is one thing that has happened: what a sentinel has said, or what a look at the servers has shown.
type Event struct {
	At       time.Time `json:"at"` // when it was heard, or seen
	Sentinel string    `json:"sentinel,omitzero"`
	Channel  string    `json:"channel,omitzero"`
	Text     string    `json:"text"`
	// SinceMs is how long after the first sign of trouble; null: there is none.
	SinceMs *int64 `json:"sinceMs"`
}

// Tracker makes lines of what sentinels publish. It remembers when trouble began, so that each line tells
// how long after that it was. It belongs to one goroutine.
type Tracker struct {
	Name string // of the master

	began, last time.Time
	told        string // the next master that has been told
}

// calm is how long nothing must have been heard for the next sign to be the first of other trouble.
const calm = 30 * time.Second

// Hear takes one message. ok is false where there is nothing to tell.
func (t *Tracker) Hear(at time.Time, from, channel, message string) (events []Event, ok bool) {
	text, ok := Words(t.Name, channel, message)
	if !ok {
		return nil, false
	}
	m, err := sentinel.ParseMessage(channel, message)
	if err != nil {
		m = sentinel.Message{}
	}
	t.begin(at, m)
	if channel == "+slave" && !t.began.IsZero() {
		return nil, false // at each change of master a sentinel finds all replicas anew
	}
	e := Event{At: at.UTC(), Sentinel: from, Channel: channel, Text: text, SinceMs: t.since(at)}
	events = append(events, e)
	if m.Kind == sentinel.KindSwitchMaster && t.told != m.Addr.String() {
		t.told = m.Addr.String()
		e.Text = fmt.Sprintf("is the first to name the next master, %s", m.Addr)
		if e.SinceMs != nil {
			e.Text += fmt.Sprintf(": %.2f s after the first sign", float64(*e.SinceMs)/1000)
		}
		events = append(events, e)
	}
	return events, true
}

// begin notes the first sign of trouble: somebody holds the master down, or wants to replace it.
func (t *Tracker) begin(at time.Time, m sentinel.Message) {
	if !t.began.IsZero() && at.Sub(t.last) > calm {
		t.began, t.told = time.Time{}, ""
	}
	t.last = at
	sign := m.Kind == sentinel.KindTry || m.Kind == sentinel.KindSDown && m.Subject == sentinel.SubjectMaster
	if sign && t.began.IsZero() {
		t.began, t.told = at, ""
	}
}

func (t *Tracker) since(at time.Time) *int64 {
	if t.began.IsZero() {
		return nil
	}
	return new(at.Sub(t.began).Milliseconds())
}

// See takes what a look at the servers has shown. trouble: not all is well. The first sign is the first change
// with which trouble came.
func (t *Tracker) See(at time.Time, texts []string, trouble bool) (events []Event) {
	if trouble && t.began.IsZero() && len(texts) > 0 {
		t.began = at
	}
	for _, text := range texts {
		events = append(events, Event{At: at.UTC(), Text: text, SinceMs: t.since(at)})
	}
	if !trouble {
		t.began = time.Time{}
	}
	return events
}

// Line is the event for people.
func (e Event) Line() string {
	after := ""
	if e.SinceMs != nil {
		after = fmt.Sprintf("+%.2fs", float64(*e.SinceMs)/1000)
	}
	text := e.Text
	if e.Sentinel != "" {
		text = "sentinel " + e.Sentinel + "  " + text
	}
	return fmt.Sprintf("%s  %8s  %s", e.At.Local().Format("15:04:05.000"), after, text)
}

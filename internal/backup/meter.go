package backup

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Meter shows on a terminal how far something is: one line, which is written over.
type Meter struct {
	w     io.Writer
	what  string
	began time.Time
	shown time.Time
	width int
}

// NewMeter begins to show what is done.
func NewMeter(w io.Writer, what string) *Meter {
	return &Meter{w: w, what: what, began: time.Now()}
}

const meterEvery = 200 * time.Millisecond

// Show shows how far it is, a few times a second at most.
func (m *Meter) Show(records, bytes, total int64) {
	now := time.Now()
	if now.Sub(m.shown) < meterEvery {
		return
	}
	m.shown = now
	m.line(meterText(m.what, records, bytes, total, now.Sub(m.began)))
}

// Clear takes the line away.
func (m *Meter) Clear() {
	if m.width > 0 {
		m.line("")
		_, _ = io.WriteString(m.w, "\r")
		m.width = 0
	}
}

// line writes over the last one. It needs no escape codes.
func (m *Meter) line(text string) {
	_, _ = io.WriteString(m.w, "\r"+text+strings.Repeat(" ", max(0, m.width-len(text))))
	m.width = len(text)
}

// meterText is the line.
func meterText(what string, records, bytes, total int64, took time.Duration) string {
	rate := float64(records) / max(took.Seconds(), 0.001)
	text := fmt.Sprintf("%s: %d", what, records)
	if total > 0 {
		text += fmt.Sprintf(" of about %d (%d%%)", total, min(100, records*100/total))
	}
	text += fmt.Sprintf(", %.1f MB, %.0f records/s", float64(bytes)/1e6, rate)
	if left := total - records; left > 0 && rate > 0 {
		text += fmt.Sprintf(", %v left", time.Duration(float64(left)/rate*float64(time.Second)).Round(time.Second))
	}
	return text
}

package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/evercache/evercache"
)

const (
	// inspectedEach is how many entries of a class are compared with Redis each time.
	inspectedEach = 16
	// mostAsked and usualAsked are how many a call may compare, and compares.
	mostAsked, usualAsked = 1000, 100
	// inspectLimit bounds one call.
	inspectLimit = 30 * time.Second
)

// keepInspecting compares what memory has with Redis, a little at a time, until ctx ends.
func (a *api) keepInspecting(ctx context.Context, every time.Duration) {
	if every <= 0 {
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for name, c := range a.classes.all() {
			found, _ := c.Inspect(ctx, inspectedEach) // an outage is told elsewhere
			a.tellWrong(name, found)
		}
	}
}

func (a *api) tellWrong(class string, found evercache.Inspection) {
	for _, w := range found.Worst {
		a.log.LogAttrs(context.Background(), slog.LevelError, "memory has called a value coherent that Redis does not hold",
			slog.String("event", "memory.wrong"), slog.String("class", class), slog.String("key_sha256", w.Key),
			slog.Float64("age_s", w.Age.Seconds()), slog.Bool("missing", w.Missing))
	}
}

// inspectAnswer is an evercache.Inspection.
type inspectAnswer struct {
	Class   string       `json:"class"`
	Used    bool         `json:"used"` // since the service began
	Checked int          `json:"checked"`
	Wrong   int          `json:"wrong"`
	Worst   []wrongEntry `json:"worst"`
}

type wrongEntry struct {
	KeySHA256  string  `json:"keySha256"` // the first half
	AgeSeconds float64 `json:"ageSeconds"`
	Missing    bool    `json:"missing"`
}

// inspectBody says what is to be compared.
type inspectBody struct {
	Class string `json:"class"`
	Most  *int   `json:"most"`
}

// postInspect compares entries of one class with Redis now.
func (a *api) postInspect(w http.ResponseWriter, q *request) *apiError {
	var b inspectBody
	if fault := a.readJSON(q, &b); fault != nil {
		return fault
	}
	name, most := b.Class, usualAsked
	if evercache.ValidClass(name) != nil {
		return errBadClass()
	}
	if b.Most != nil {
		if most = *b.Most; most < 1 || most > mostAsked {
			return errBadBody(fmt.Sprintf("most is a number from 1 to %d", mostAsked))
		}
	}
	select {
	case a.inspecting <- struct{}{}:
		defer func() { <-a.inspecting }()
	default:
		return errInspecting()
	}
	answer := inspectAnswer{Class: name, Worst: []wrongEntry{}}
	if c := a.classes.all()[name]; c != nil {
		answer.Used = true
		ctx, cancel := context.WithTimeout(q.Context(), inspectLimit)
		defer cancel()
		found, err := c.Inspect(ctx, most)
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return failed(err)
		}
		a.tellWrong(name, found)
		answer.Checked, answer.Wrong = found.Checked, found.Wrong
		for _, one := range found.Worst {
			answer.Worst = append(answer.Worst, wrongEntry{one.Key, one.Age.Seconds(), one.Missing})
		}
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

package evercache

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/evercache/evercache/internal/logqueue"
)

// queued puts a queue above an application's handler: the state's lock, the
// master's keeper and the replay log too, and none of them may wait for a disk or a
// reader. One that is such a queue already is used as it is, and is not our own.
func queued(h slog.Handler) (q *logqueue.Handler, own bool) {
	if q, ok := h.(*logqueue.Handler); ok {
		return q, false
	}
	return logqueue.New(h, nil, logqueue.Bounds{}), true
}

// Close gives the log a second at most, and a moment even when its time is over.
const (
	logPatience = time.Second
	logMoment   = 50 * time.Millisecond
)

var errLogHangs = errors.New("evercache: closed with work still under way: the handler of Options.Logger does not return")

// flushLogs lets the last lines get to the application's handler.
func (c *Client) flushLogs(ctx context.Context) error {
	if !c.ownLogs {
		return nil
	}
	limit := logPatience
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end))
	}
	if ctx.Err() != nil {
		limit = 0
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(limit, logMoment))
	defer cancel()
	if !c.logs.Flush(bounded) {
		return errLogHangs
	}
	return nil
}

package audit

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	appendWithin = 5 * time.Second // how long a disk may take
	heldFor      = 2 * time.Second // how long another process is waited for
	heldAgain    = 20 * time.Millisecond
)

// errHeld: another process writes the log.
var errHeld = errors.New("another process writes it")

// Append writes one event at the end of a log and waits until it is on the disk. It keeps the
// chain. It is for programs that do one thing and end: they may use one log, one event at a
// time. A log that a running service holds open cannot be used.
func Append(ctx context.Context, path string, e Event) error {
	ctx, cancel := context.WithTimeout(ctx, appendWithin)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- appendOnce(ctx, path, e) }() // a disk that hangs may hold it until the process ends
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%s takes no line within %v: %w", path, appendWithin, context.Cause(ctx))
	}
}

func appendOnce(ctx context.Context, path string, e Event) error {
	l := &Log{path: path}
	for began := time.Now(); ; {
		err := l.open()
		if err == nil {
			break
		}
		if !errors.Is(err, errHeld) || ctx.Err() != nil || time.Since(began) > heldFor {
			return err
		}
		time.Sleep(heldAgain)
	}
	err := l.put(entry{time.Now(), e.bounded()})
	if err == nil {
		err = l.f.Sync()
	}
	if l.f != nil {
		err = errors.Join(err, l.f.Close())
	}
	if err != nil {
		return fmt.Errorf("write a line: %w", err)
	}
	return nil
}

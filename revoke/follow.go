package revoke

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/evercache/evercache/internal/kit"
)

// follow reads the list from every master there is, one after the other, until
// ctx ends.
func (l *List) follow(ctx context.Context) {
	delay := retryFirst
	for ctx.Err() == nil {
		m, changed := l.kit.Master()
		if m == nil {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		began := time.Now()
		err := l.read(ctx, m, changed)
		l.moveTo(position{})
		if ctx.Err() != nil || isDone(changed) {
			delay = retryFirst
			continue
		}
		l.tell(err)
		if time.Since(began) > 10*time.Second {
			delay = retryFirst
		}
		if errors.Is(err, ErrFull) {
			delay = fullDelay
		}
		_ = pause(ctx, delay/2+rand.N(delay)) // its end is that of the loop
		delay = min(2*delay, retryMost)
	}
}

// fullDelay is how soon a set that does not fit is read again.
const fullDelay = 30 * time.Second

func isDone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// tell logs what is in the way of reading the list, when it is something else
// than before.
func (l *List) tell(err error) {
	if err == nil {
		return
	}
	was := l.notes.reading.Swap(&err)
	if was == nil || (*was).Error() != err.Error() {
		l.kit.Log().LogAttrs(l.ctx, slog.LevelWarn, "the denylist cannot be read from redis: memory answers",
			slog.String("event", "revoke.unread"), slog.String("error", err.Error()))
	}
}

// read reads from one master until it is given up.
func (l *List) read(ctx context.Context, m kit.Master, changed <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.wg.Add(1)
	watching := l.kit.Go(func(context.Context) {
		defer l.wg.Done()
		defer cancel()
		select {
		case <-changed:
		case <-ctx.Done():
		}
	})
	if !watching {
		l.wg.Done()
		return errClosing
	}
	began := time.Now()
	link, err := m.Dial(ctx)
	if err != nil {
		return err
	}
	defer link.Close()
	s := &session{List: l, m: m, link: link, print: l.hash.print(), began: began, since: began}
	for delay := time.Duration(0); ; delay = min(2*delay+retryFirst, 10*time.Second) {
		if err := s.attach(ctx); err != nil {
			return err
		}
		if err := s.snapshot(ctx); err != nil {
			return err
		}
		began := time.Now()
		if err := s.tail(ctx); !errors.Is(err, errAgain) {
			return err
		}
		if time.Since(began) > time.Minute {
			delay = 0
		}
		if err := pause(ctx, delay); err != nil {
			return err
		}
	}
}

var (
	errClosing = errors.New("the client is being closed")
	errAgain   = errors.New("the whole set is to be read again")
	errOther   = errors.New("another server answers at the master's address")
)

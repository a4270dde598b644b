package evercache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/redisproc"
)

// stuck is an application's handler that does not come back before it is let go.
type stuck chan struct{}

func (s stuck) Enabled(context.Context, slog.Level) bool { <-s; return true }
func (s stuck) WithAttrs([]slog.Attr) slog.Handler       { return s }
func (s stuck) WithGroup(string) slog.Handler            { return s }
func (s stuck) Handle(context.Context, slog.Record) error {
	<-s
	return nil
}

func TestAHandlerThatBlocksHoldsUpNoPromise(t *testing.T) {
	t.Parallel()
	gate := make(stuck)
	t.Cleanup(func() { close(gate) })
	p := startRedis(t, redisproc.Options{})
	client, err := Open(t.Context(), Options{
		Addr: p.Addr(), Logger: slog.New(gate), CloseTimeout: 20 * time.Second,
		Events: Events{State: func(health.Change) { time.Sleep(time.Millisecond) }},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := cacheOf[string](t, client, "c", Policy{})
	connect(t, client, 20*time.Second)
	kill(t, p)
	for i := range 20 {
		if _, err := c.Set(t.Context(), fmt.Sprint(i), "kept"); err != nil {
			t.Fatal(err)
		}
	}
	restart(t, p, redisproc.Empty)
	connect(t, client, 20*time.Second)
	for i := range 20 {
		wantStored(t, p, fmt.Sprint("c:", i), "kept")
	}
	ended := make(chan error, 1)
	go func() { ended <- client.Close() }()
	select {
	case err := <-ended:
		wantErr(t, err, errLogHangs)
		if _, lost := errors.AsType[*UnsavedError](err); lost {
			t.Errorf("Close = %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("Close waits for the handler")
	}
}

func TestCloseReturnsWhenTheLogHasItsLastLine(t *testing.T) {
	t.Parallel()
	var lines []string // Close is all that guards it
	client := open(t, Options{MemoryOnly: true, Logger: slog.New(collecting{&lines})})
	wantErr(t, client.Close(), nil)
	if len(lines) != 1 || lines[0] != "closed" {
		t.Errorf("%q", lines)
	}
}

func TestDroppedLogLinesAreCounted(t *testing.T) {
	t.Parallel()
	var lines []string
	client := open(t, Options{MemoryOnly: true, Logger: slog.New(broken{collecting{&lines}})})
	client.one().Log.Info("lost")
	eventually(t, func() bool { return client.Stats().LogDropped == 1 })
}

type collecting struct{ lines *[]string }

func (c collecting) Enabled(context.Context, slog.Level) bool { return true }
func (c collecting) WithAttrs([]slog.Attr) slog.Handler       { return c }
func (c collecting) WithGroup(string) slog.Handler            { return c }
func (c collecting) Handle(_ context.Context, r slog.Record) error {
	*c.lines = append(*c.lines, r.Message)
	return nil
}

type broken struct{ collecting }

func (broken) Handle(context.Context, slog.Record) error { return errors.New("no space") }

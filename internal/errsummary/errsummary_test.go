package errsummary

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evercache/evercache/internal/testbed"
)

type idKey struct{}

// ids adds the id of a context to a line, as an application's handler does.
type ids struct{ slog.Handler }

func (h ids) Handle(ctx context.Context, r slog.Record) error {
	if id, ok := ctx.Value(idKey{}).(string); ok {
		r.AddAttrs(slog.String("id", id))
	}
	return h.Handler.Handle(ctx, r)
}

func summary() (*Summary, *testbed.Buffer) {
	b := new(testbed.Buffer)
	h := slog.NewTextHandler(b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.MessageKey || a.Key == "event" {
			return slog.Attr{}
		}
		return a
	}})
	return New(slog.New(ids{h}), "calls failed", "calls.failed"), b
}

func with(id string) context.Context {
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), idKey{}, id))
	cancel() // it is told after its request has ended
	return ctx
}

// want compares the lines since the last time.
func want(t *testing.T, b *testbed.Buffer, lines ...string) {
	t.Helper()
	var text strings.Builder
	for _, l := range lines {
		text.WriteString("level=WARN error_type=" + l + "\n")
	}
	if got := b.Take(); got != text.String() {
		t.Errorf("got\n%swant\n%s", got, text.String())
	}
}

func TestManyErrorsAreOneLineInTenSecondsAndKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := summary()
		s.Add(with("a"), "timeout")
		want(t, b, "timeout count=1 id=a") // at once
		for range 57 {
			s.Add(with("b"), "timeout")
			s.Add(with("c"), "timeout")
			time.Sleep(time.Millisecond)
		}
		s.Add(with("d"), "conn")
		want(t, b, "conn count=1 id=d")
		time.Sleep(Every - time.Second)
		want(t, b)
		time.Sleep(time.Second)
		synctest.Wait()
		want(t, b, "timeout count=114 id=b") // conn had one only
		s.Add(with("e"), "timeout")
		time.Sleep(Every)
		synctest.Wait()
		want(t, b, "timeout count=1 id=e")
		time.Sleep(2 * Every)
		synctest.Wait()
		want(t, b)
		s.Add(with("f"), "timeout") // the first for a while
		want(t, b, "timeout count=1 id=f")
	})
}

func TestWhatIsCountedIsToldAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := summary()
		s.Add(with("a"), "timeout")
		s.Add(with("b"), "timeout")
		b.Take()
		s.Close()
		want(t, b, "timeout count=1 id=b")
		if s.Add(with("c"), "timeout") {
			t.Error("a closed summary lets an error have a line")
		}
		time.Sleep(2 * Every)
		synctest.Wait()
		want(t, b)
		s.Close()
		want(t, b)
	})
}

func TestKindsAndDetailsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := summary()
		for i := range 10 * mostKinds {
			s.Add(context.Background(), fmt.Sprint("kind", i))
		}
		if n := strings.Count(b.Take(), "\n"); n != mostKinds+1 || len(s.kinds) != mostKinds+1 {
			t.Errorf("%d lines and %d kinds, want %d", n, len(s.kinds), mostKinds+1)
		}
		details := 0
		for range 3 * mostDetails {
			if s.Add(context.Background(), "kind1") {
				details++
			}
		}
		if details != mostDetails {
			t.Errorf("%d errors may have a line of their own, want %d", details, mostDetails)
		}
		time.Sleep(Every)
		synctest.Wait()
		if !s.Add(context.Background(), "kind1") {
			t.Error("nor may one ten seconds later")
		}
		s.Close()
	})
}

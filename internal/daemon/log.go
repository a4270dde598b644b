package daemon

import (
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"

	"github.com/evercache/evercache/internal/censor"
)

// NewLogger returns a logger on w in the format auto, json or text. Auto is
// text on a terminal and JSON for everything that collects logs.
func NewLogger(w io.Writer, level slog.Leveler, format string) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	lines := &wholeLines{w: w}
	if format == "text" || format != "json" && onTerminal(w) {
		return slog.New(censor.Handler(correlated{slog.NewTextHandler(lines, o)}))
	}
	return slog.New(censor.Handler(correlated{slog.NewJSONHandler(lines, o)}))
}

// wholeLines begins a line of its own after one that was cut off by a full disk.
type wholeLines struct {
	w   io.Writer
	cut bool
}

func (l *wholeLines) Write(line []byte) (int, error) {
	if l.cut {
		if _, err := l.w.Write([]byte("\n")); err != nil {
			return 0, err
		}
		l.cut = false
	}
	n, err := l.w.Write(line)
	l.cut = n > 0 && n < len(line)
	return n, err
}

func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

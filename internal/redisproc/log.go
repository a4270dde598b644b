package redisproc

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const (
	tailBytes = 64 << 10
	tailLines = 40
)

func (p *Process) logPath() string { return filepath.Join(p.dir, logName) }

// Log is the end of what the process has printed over all its lives, at most 64 KiB, with the
// passwords cut out.
func (p *Process) Log() string {
	text, err := lastBytes(p.logPath(), tailBytes)
	if err != nil {
		return fmt.Sprintf("(the log cannot be read: %v)", err)
	}
	return p.options.redact(text)
}

// tail is the last lines of Log.
func (p *Process) tail(lines int) string { return lastLines(p.Log(), lines) }

func lastBytes(file string, n int64) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	from := max(info.Size()-n, 0)
	text, err := io.ReadAll(io.NewSectionReader(f, from, n))
	return string(text), err
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(len(lines)-n, 0):], "\n")
}

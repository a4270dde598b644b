//go:build unix

package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A pipe that nobody writes, and a keyboard that is silent, do not hold up Ctrl-C.
func TestInputThatIsSilentEndsWithTheContext(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	silent, keyboard := io.Pipe()
	t.Cleanup(func() { _ = keyboard.Close() })
	inv := invocation{stdin: silent}
	for _, name := range []string{pipe, "-"} {
		ctx, end := context.WithTimeout(t.Context(), 50*time.Millisecond)
		in, stream, err := openInput(ctx, inv, name)
		if err == nil {
			_, err = in.Read(make([]byte, 10))
		}
		if end(); err == nil || err.Error() != "interrupted" || !stream {
			t.Errorf("%s: %v, stream %v", name, err, stream)
		}
	}
	ctx, end := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer end()
	if confirmed(ctx, silent, io.Discard, "Well?") {
		t.Error("silence is a yes")
	}
}

func TestInputIsReadAsItIs(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0123456789", 50_000)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, "-"} {
		in, stream, err := openInput(t.Context(), invocation{stdin: strings.NewReader(text)}, name)
		if err != nil || stream != (name == "-") {
			t.Fatal(stream, err)
		}
		if got, err := io.ReadAll(in); err != nil || string(got) != text {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{t.TempDir(), filepath.Join(t.TempDir(), "nothing")} {
		if _, _, err := openInput(t.Context(), invocation{}, bad); err == nil {
			t.Errorf("%s is opened", bad)
		}
	}
}

package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evercache/evercache"
)

// TestTheProgramLoadsOnceAndThenAnswersFromMemory, without a Redis.
func TestTheProgramLoadsOnceAndThenAnswersFromMemory(t *testing.T) {
	said := output(t, func() {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
			defer cancel()
			if err := run(ctx, evercache.Options{MemoryOnly: true}); err != nil {
				t.Error(err)
			}
		})
	})
	lines := strings.Split(strings.TrimSpace(said), "\n")
	if len(lines) != 5 || lines[0] != "asking the database for 42" ||
		!strings.HasSuffix(lines[1], "{lamp 30} from loader") || !strings.HasSuffix(lines[4], "{lamp 30} from memory") {
		t.Errorf("it said:\n%s", said)
	}
}

// TestAWrongSettingIsAnError, before anything is printed.
func TestAWrongSettingIsAnError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // where it is taken all the same, the program ends at once
	if err := run(ctx, evercache.Options{Sentinels: []string{"a:1", "b:1"}, MasterName: "m"}); err == nil {
		t.Error("two sentinels are too few, and were taken")
	}
}

// output is what f prints.
func output(t *testing.T, f func()) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = w
	defer func() { os.Stdout = stdout }()
	f()
	w.Close()
	var all bytes.Buffer
	if _, err := io.Copy(&all, r); err != nil {
		t.Fatal(err)
	}
	return all.String()
}

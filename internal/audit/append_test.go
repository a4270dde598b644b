package audit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Commands that run at the same time, one within another as well, share a log.
func TestCommandsShareALog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "commands.log")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 5 {
				if err := Append(t.Context(), path, Event{Event: SwitchoverBegun, Outcome: "ok", Detail: fmt.Sprint(i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if s := wantIntact(t, read(t, path), 40); s.Last != 40 {
		t.Errorf("%+v", s)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: others may read it", info, err)
	}
}

// A crash of the command before has cut its line off.
func TestALineAfterOneThatWasCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "commands.log")
	written(t, path, 2)
	log := read(t, path)
	if err := os.WriteFile(path, log[:len(log)-9], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Append(t.Context(), path, Event{Event: DrillEnded, Outcome: "passed"}); err != nil {
		t.Fatal(err)
	}
	if s := wantIntact(t, read(t, path), 2); s.Cut != 1 {
		t.Errorf("%+v", s)
	}
}

func TestALogThatAServiceHoldsIsNotWrittenByCommands(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	open(t, path)
	before := string(read(t, path))
	began := time.Now()
	err := Append(t.Context(), path, Event{Event: SwitchoverBegun, Outcome: "ok"})
	if err == nil || !strings.Contains(err.Error(), "another process writes it: each process needs a file of its own") {
		t.Error(err)
	}
	if took := time.Since(began); took < heldFor || took > heldFor+10*time.Second {
		t.Errorf("it waited %v", took)
	}
	if got := string(read(t, path)); got != before {
		t.Errorf("it was written all the same: %s", got)
	}
}

func TestALineThatCannotBeWrittenIsAnError(t *testing.T) {
	for _, bad := range []string{t.TempDir(), filepath.Join(t.TempDir(), "no", "such"), os.DevNull} {
		if err := Append(t.Context(), bad, Event{Event: DrillBegun, Outcome: "ok"}); err == nil {
			t.Errorf("%s takes it", bad)
		}
	}
	over, end := context.WithCancel(t.Context())
	end()
	dir, err := os.MkdirTemp("", "audit")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // whoever writes may still be at it
	if err := Append(over, filepath.Join(dir, "x"), Event{}); err != nil && !strings.Contains(err.Error(), "canceled") {
		t.Error(err)
	}
}

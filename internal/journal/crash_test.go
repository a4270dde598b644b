package journal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// childDir makes the test binary the process that is killed.
const childDir = "EVERCACHE_TEST_JOURNAL_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
	}
	os.Exit(m.Run())
}

// child appends from four goroutines, rewriting often, and prints what it was
// told is safe, until it is killed.
func child(dir string) {
	j, entries, err := Open(dir, Options{})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	from := map[string]int{}
	for _, e := range entries {
		from[e.Key], _ = strconv.Atoi(strings.Fields(string(e.Payload))[0])
	}
	filler := strings.Repeat("x", 30_000)
	var out sync.Mutex
	for w := range 4 {
		go func() {
			key := fmt.Sprint("w", w)
			for i := from[key] + 1; ; i++ {
				j.Done("done", 1<<60)
				_, err := j.Append(context.Background(), entry(key, fmt.Sprint(i, " ", filler)), entry("done", filler))
				out.Lock()
				if err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				fmt.Println(key, i)
				out.Unlock()
			}
		}()
	}
	select {}
}

func TestWhatWasToldSafeSurvivesKilledProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	told := map[string]int{}
	for run := range 20 {
		killed(t, dir, time.Duration(20+rand.IntN(80))*time.Millisecond, told)
		b := content(t, dir)
		f := scan(strings.NewReader(string(b)), int64(len(b)))
		if f.damage != nil {
			t.Fatalf("run %d: %v", run, f.damage)
		}
		found := byKey(entriesOf(f))
		for key, i := range told {
			var got int
			if _, err := fmt.Sscan(string(found[key].Payload), &got); err != nil || got < i {
				t.Fatalf("run %d: %s was told %d, found %d (%v)", run, key, i, got, err)
			}
		}
	}
	if len(told) != 4 {
		t.Errorf("only %d writers were told anything", len(told))
	}
}

// killed runs the child, kills it so long after its first line, and notes what
// it has printed.
func killed(t *testing.T, dir string, after time.Duration, told map[string]int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := true
	for lines := bufio.NewScanner(out); lines.Scan(); first = false {
		if first {
			wantInUse(t, dir, cmd.Process.Pid)
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		key, n, _ := strings.Cut(lines.Text(), " ")
		i, err := strconv.Atoi(n)
		if err != nil {
			t.Errorf("the child says: %s", lines.Text())
			continue
		}
		told[key] = max(told[key], i)
	}
	_ = cmd.Wait()
}

func wantInUse(t *testing.T, dir string, pid int) {
	t.Helper()
	_, _, err := Open(dir, Options{})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint("by process ", pid)) {
		t.Errorf("a second process: %v", err)
	}
}

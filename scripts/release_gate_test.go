package scripts_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	present = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	earlier = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// good is what each command of the gate prints when all is well.
var good = map[string]string{
	"check": "check bench\n", "page": "ok\n", "deploy": "ok\n", "live": "done\n", "validate": "ok\n",
	"tests":    "DONE 3521 tests in 451.2s\n",
	"cover":    " 88.1 %  github.com/evercache/evercache/internal/dev\n 94.0 %  of all statements\n",
	"fuzz":     "github.com/evercache/evercache FuzzOne\nok\ngithub.com/evercache/evercache/config FuzzTwo\nok\n",
	"chaos":    "    --- PASS: TestChaos/kill (1.00s)\n    --- PASS: TestChaos/kill#01 (1.00s)\n--- PASS: TestChaos (2.00s)\n",
	"soak":     "    soak_test.go:279: SOAK | 100000000 reads and 5 writes in 10m | map[] | 0 wrong | Inspect: 7 compared, 0 wrong\n",
	"drills":   "--- PASS: TestClusterKill (9.00s)\n",
	"matrix":   "DONE 12 tests in 3s\nDONE 14 tests in 4s\n",
	"failover": "gate gap: 195ms, at most 3s: kept\npassed\n",
	"kill":     "gate gap: 1889ms, at most 10s: kept\npassed\n",
}

// releaseGate runs the script in a tree of this commit, with what was run before.
func (s shop) releaseGate(commit string, args ...string) (out string, status int) {
	s.Helper()
	s.program("git", `case $1 in rev-parse) echo `+commit+` ;; status) cat "`+s.cache+`/changes" 2>/dev/null || true ;; esac`)
	cmd := exec.CommandContext(s.Context(), "./release-gate.sh", args...)
	cmd.Env = []string{"PATH=" + s.bin + ":" + os.Getenv("PATH"), "GATE_DIR=" + filepath.Join(s.cache, "gate"), "GATE_DOCUMENT=" + filepath.Join(s.cache, "gate.md")}
	text, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		s.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// ran runs a command of the gate that prints this, and ends with this status.
func (s shop) ran(commit, name, prints, status string) {
	s.Helper()
	s.program("command-of-the-gate", "cat <<'END'\n"+prints+"END\nexit "+status+"\n")
	if out, got := s.releaseGate(commit, "run", name, "command-of-the-gate"); (got == 0) != (status == "0") {
		s.Fatalf("run %s ends with %d: %s", name, got, out)
	}
}

func TestTheReleaseGate(t *testing.T) {
	const ready, failed, missing = "**The release may go out.**", "something has failed.**", "not everything was run.**"
	for name, c := range map[string]struct {
		change func(s shop)
		want   []string
		status int
	}{
		"all is well": {func(shop) {}, []string{
			ready, "| DONE 3521 tests in 451.2s |", "| 94.0 % |", "| 2 targets |", "| 2 runs, 2 clean |", ", 0 wrong, Inspect",
			"| 1 drills |", "| DONE 14 tests in 4s |", "| 195ms without a master |", "Commit aaaaaaaaaaaa.",
		}, 0},
		"a command fails":   {func(s shop) { s.ran(present, "live", "done\n", "3") }, []string{failed, "| failed: exit status 3 |"}, 1},
		"a skipped test":    {func(s shop) { s.ran(present, "tests", "DONE 3521 tests, 1 skipped in 9s\n", "0") }, []string{failed, "failed: not all tests"}, 1},
		"a failed test":     {func(s shop) { s.ran(present, "tests", "DONE 3521 tests, 2 failures in 9s\n", "1") }, []string{failed, "failed: exit status 1"}, 1},
		"little covered":    {func(s shop) { s.ran(present, "cover", "89.9 %  of all statements\n", "0") }, []string{failed, "failed: below 90 %"}, 1},
		"an unclean run":    {func(s shop) { s.ran(present, "chaos", good["chaos"]+"    --- FAIL: TestChaos/cut (1.00s)\n", "0") }, []string{failed, "failed: not all runs are clean"}, 1},
		"no summary":        {func(s shop) { s.ran(present, "tests", "ok\n", "0") }, []string{failed, "failed: its output has no summary"}, 1},
		"of another commit": {func(s shop) { s.ran(earlier, "soak", good["soak"], "0") }, []string{missing, "not run: the last run was of bbbbbbbbbbbb |"}, 2},
		"of a changed tree": {func(s shop) {
			s.write(filepath.Join(s.cache, "changes"), " M x\n")
			s.ran(present, "soak", good["soak"], "0")
		}, []string{missing, "not run: the last run was of aaaaaaaaaaaa-changed |"}, 2},
		"one was not run":              {func(s shop) { s.remove("matrix.log") }, []string{missing, "Valkey 9.1 | `make matrix` | not run |  |  |"}, 2},
		"it has not ended":             {func(s shop) { s.write(s.log("live"), "gate commit "+present+"\ngate began x\n") }, []string{failed, "failed: it has not ended"}, 1},
		"a failure counts":             {func(s shop) { s.remove("matrix.log"); s.ran(present, "live", "", "1") }, []string{failed}, 1},
		"a status that it says itself": {func(s shop) { s.ran(present, "live", "gate status 0\n", "4") }, []string{failed, "exit status 4"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			for name, prints := range good {
				s.ran(present, name, prints, "0")
			}
			s.write(filepath.Join(s.cache, "gate.md"), "# Before\n<!-- gate: x -->\nold\n<!-- end gate -->\nafter\n")
			c.change(s)
			out, status := s.releaseGate(present, "report")
			if status != c.status {
				t.Errorf("status %d, want %d", status, c.status)
			}
			document, err := os.ReadFile(filepath.Join(s.cache, "gate.md"))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			if want := "# Before\n<!-- gate: x -->\n" + out + "<!-- end gate -->\nafter\n"; string(document) != want {
				t.Errorf("the document is\n%s\nwant\n%s", document, want)
			}
		})
	}
}

func (s shop) log(name string) string { return filepath.Join(s.cache, "gate", name+".log") }

func (s shop) remove(name string) {
	s.Helper()
	if err := os.Remove(filepath.Join(s.cache, "gate", name)); err != nil {
		s.Fatal(err)
	}
}

func TestTheReleaseGateIsCalledWrongly(t *testing.T) {
	s := newShop(t)
	for want, args := range map[string][]string{
		"NAME one of: check tests": {"run", "nonsense", "true"},
		"NAME one of:":             {"run", "check"},
		"usage:":                   {"nonsense"},
	} {
		if out, status := s.releaseGate(present, args...); status != 2 || !strings.Contains(out, want) {
			t.Errorf("%v: status %d: %s", args, status, out)
		}
	}
	s.write(filepath.Join(s.cache, "gate.md"), "no table\n")
	if out, status := s.releaseGate(present, "report"); status != 2 || !strings.Contains(out, "has no lines <!-- gate") {
		t.Errorf("status %d: %s", status, out)
	}
}

// The committed document has the rows of the script, so nobody can leave one out.
func TestTheDocumentOfTheReleaseGateHasEveryRow(t *testing.T) {
	s := newShop(t)
	names, status := s.releaseGate(present, "names")
	document, err := os.ReadFile("../docs/release-gate.md")
	if err != nil || status != 0 {
		t.Fatal(err, status)
	}
	for line := range strings.Lines(names) {
		_, command, _ := strings.Cut(strings.TrimSpace(line), "|")
		if !strings.Contains(string(document), " | `"+command+"` | ") {
			t.Errorf("docs/release-gate.md has no row with %s: make release-gate", command)
		}
	}
}

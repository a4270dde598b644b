package check

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// rehearsals are the documents whose commands are run on a set of evercache dev, in their
// order, with what they must print. A block of shell says by whom it is run: run=NAME by
// this test, hand=REASON by nobody.
var rehearsals = []struct {
	document string
	steps    []step
}{
	{"docs/training.md", []step{
		{"look", []string{"hello", "writable", "streaming", "\nwell\n", "no error, no warning", "up: Redis is healthy (Sentinel mode)"}},
		{"kill", []string{"was killed", "204 No Content", "Evercache-Durability: memory", "\nduring\n", `"status": "degraded"`}},
		{"killed", []string{"failure", "was started", "\nwell\n"}},
		{"hang", []string{"during", "failure", "  2  "}},
		{"majority", []string{"\nduring\n", `"status": "degraded"`, "sentinel-no-quorum", "exit status 1", "exit status 2"}},
		{"majority-back", []string{"up: Redis is healthy"}},
		{"empty", []string{"dataset-reset", "precious"}},
		{"wrong", []string{"sentinel-unknown-master", "exit status 2", "EVERCACHE_TTL", "REDIS_SENTINELS: lists 2"}},
		{"planned", []string{"planned: nothing was changed", "done: ", "planned"}},
		{"backup", []string{": whole: ", "nothing was written", "precious"}},
		{"back", []string{"no error, no warning", "plan-target-not-master", "exit status 2"}},
		{"drill", []string{"gate lost: 0, at most 0: kept", "passed"}},
	}},
	{"docs/production-checklist.md", []step{
		{"doctor", []string{"no error, no warning", "\nwell\n"}},
		{"verify", []string{"up: Redis is healthy", "true", " compared with Redis, 0 wrong"}},
	}},
	{"docs/rollout.md", []step{
		{"drills", []string{"passed", "done: "}},
		{"gate1", []string{"up: Redis is healthy"}},
		{"canary", []string{"planned: nothing was changed", "done: ", "planned"}},
		{"gate2", nil},
		{"daily", nil},
	}},
	{"docs/rollback.md", []step{
		{"who", []string{"127.0.0.1:"}},
		{"plan", []string{"plan-variables", "no error"}},
		{"hold", []string{"OK\nOK\nOK\nup: "}},
		{"try", []string{"up: Redis is healthy (Standalone mode)", `"mode": "standalone"`}},
	}},
	{"docs/upgrade.md", []step{
		{"well", []string{"no error"}},
		{"switch", []string{"done: "}},
	}},
	{"docs/capacity.md", []step{
		{"measure", []string{"resident memory of a process", "\n| 2 | "}},
	}},
	{"docs/on-call.md", []step{
		{"first", []string{"\nwell\n", "no error", "no failover since the start"}},
	}},
}

// byHand are the reasons for which a block of these documents is not run.
var byHand = map[string]string{
	"platform": "it needs a platform, or instances of before and after a rollout; scripts/rollout_gate_test.go runs the gate",
	"terminal": "it is about the reader's terminals: the test starts the set by itself",
}

// step is a block and what it must print.
type step struct {
	block string
	want  []string
}

func TestTheDocumentsAreRehearsed(t *testing.T) {
	for _, r := range rehearsals {
		t.Run(filepath.Base(r.document), func(t *testing.T) {
			t.Parallel()
			text := read(t, filepath.Join("../..", r.document))
			s := play(t)
			for _, step := range r.steps {
				i := slices.IndexFunc(blocks(text), func(b block) bool { return b.by == "run" && b.name == step.block })
				if i < 0 {
					t.Fatalf("%s has no block run=%s", r.document, step.block)
				}
				out, err := s.run(blocks(text)[i].text)
				if err != nil {
					t.Fatalf("%s, block %s: %v; it prints:\n%s", r.document, step.block, err, out)
				}
				t.Logf("%s:\n%s", step.block, out)
				for _, want := range step.want {
					if !strings.Contains("\n"+out, want) {
						t.Errorf("%s, block %s prints no %q:\n%s", r.document, step.block, want, out)
					}
				}
			}
		})
	}
}

// unrehearsed lists the blocks of shell that nobody runs, or for a reason that is none.
func unrehearsed(document, text string, steps []step) (all []string) {
	for _, b := range blocks(text) {
		known := b.lang != "sh" ||
			b.by == "hand" && byHand[b.name] != "" ||
			b.by == "run" && slices.ContainsFunc(steps, func(s step) bool { return s.block == b.name })
		if !known {
			all = append(all, fmt.Sprintf("%s: nobody runs %s=%s:\n%s", document, b.by, b.name, b.text))
		}
	}
	return all
}

func TestEveryBlockIsRehearsedOrSaysWhyNot(t *testing.T) {
	for _, r := range rehearsals {
		text := read(t, filepath.Join("../..", r.document))
		if len(blocks(text))*2 != strings.Count(text, "```") {
			t.Errorf("%s: not every block can be read", r.document)
		}
		for _, f := range unrehearsed(r.document, text, r.steps) {
			t.Error(f)
		}
	}
	for planted, want := range map[string]string{
		"```sh\nls\n```\n":               "nobody runs =",
		"```sh run=nonsense\nls\n```\n":  "nobody runs run=nonsense",
		"```sh hand=laziness\nls\n```\n": "nobody runs hand=laziness",
	} {
		if found := unrehearsed("a document", planted, []step{{"look", nil}}); len(found) != 1 || !strings.Contains(found[0], want) {
			t.Errorf("%q: found %q", planted, found)
		}
	}
}

// stage is a set of evercache dev, and a shell beside it as the documents have it.
type stage struct {
	t       *testing.T
	dir     string
	environ []string
	addr    string // of evercache serve, which the documents call localhost:3000
	second  string // for another one, at 127.0.0.1:3001
	*process
}

// play starts evercache dev --serve and waits until all of it is ready.
func play(t *testing.T) *stage {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "ec") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // a temporary directory
	exe, err := filepath.Abs(binary)
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(exe, filepath.Join(bin, "evercache")); err != nil {
		t.Fatal(err)
	}
	scripts, err := filepath.Abs("../../scripts")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(scripts, filepath.Join(dir, "scripts")); err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, dir: dir, addr: "127.0.0.1:" + freePort(t), second: "127.0.0.1:" + freePort(t)}
	s.environ = []string{
		"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "XDG_RUNTIME_DIR=" + dir, "EVERCACHE_LISTEN=" + s.addr,
	}
	s.process = spawn(t, s.environ, exe, "dev", "--serve")
	eventually(t, 60*time.Second, "evercache dev is ready", func() error {
		log := s.log.String()
		if !strings.Contains(log, "\nready: ") || !strings.Contains(log, "evercache: up: ") {
			return fmt.Errorf("it prints %s", log)
		}
		return nil
	})
	for _, m := range regexp.MustCompile(`(?m)^export (REDIS_\S+)$`).FindAllStringSubmatch(s.log.String(), -1) {
		s.environ = append(s.environ, m[1])
	}
	// For the commands: a busy machine is not to be taken for a slow Redis.
	s.environ = append(s.environ, "EVERCACHE_READ_TIMEOUT=2s", "EVERCACHE_DIAL_TIMEOUT=2s")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("evercache dev has printed:\n%s", &s.log)
		}
		if status := s.end(t); status != 0 {
			t.Errorf("evercache dev ends with status %d", status)
		}
	})
	return s
}

// run runs a block as the reader's shell does, and returns all that it prints.
func (s *stage) run(text string) (string, error) {
	s.t.Helper()
	text = strings.NewReplacer("localhost:3000", s.addr, "127.0.0.1:3000", s.addr, "127.0.0.1:3001", s.second).Replace(text)
	cmd := exec.CommandContext(s.t.Context(), "timeout", "90", "bash", "-euo", "pipefail", "-c", text)
	cmd.Env, cmd.Dir = s.environ, s.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

package backup

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/survey"
)

func TestWhoseKeysAreWhose(t *testing.T) {
	for key, want := range map[string]bool{
		"app:~b:p": true, "app:~d:{app:x}": true, "app:~s:x": true, "app:~p:{1}x": true, "app:~t:x": true, "app:~dataset": true, "app:~restore:abc": true,
		"app:~datasets": false, "app:~r:{tokens}:set": false, "app:product:~b:1": false, "~b:p": false, "app:b:": false, "": false,
	} {
		if got := ours("app:", key); got != want {
			t.Errorf("%q: %v", key, got)
		}
	}
	for key, want := range map[string]string{
		"app:~r:{tokens}:set": "app:~r:{tokens}:", "app:~r:{a:b}:stream": "app:~r:{a:b}:", "app:~r:{tokens}:n": "app:~r:{tokens}:",
		"app:~r:{tokens}:other": "", "app:~r:tokens": "", "~r:{tokens}:set": "~r:{tokens}:", "other:~r:{t}:n": "other:~r:{t}:", "app:x": "", "~r:{": "", "~r:{}:set": "~r:{}:",
	} {
		if got := denylist(key); got != want {
			t.Errorf("%q: %q", key, got)
		}
	}
	if got := pattern(Options{Prefix: `a*[?]\:`}); got != `a\*\[\?\]\\:*` {
		t.Errorf("%q", got)
	}
}

func TestWhatIsExpendable(t *testing.T) {
	files := func(text string) (all []kept) {
		for i, c := range text {
			all = append(all, kept{name: string(rune('a' + i)), whole: c != 'x', good: strings.ContainsRune("gAf", c), ahead: c == 'A', foreign: c == 'f'})
		}
		return all
	}
	for _, c := range []struct {
		files, want string // g: good, i: incomplete, x: broken, A: of a time to come, f: of another set; the oldest first
		keep        int
	}{
		{"ggg", "", 3},
		{"gggg", "a", 3},
		{"ggggg", "abcd", 1},
		{"gxxx", "", 1},  // the last good one
		{"giii", "b", 2}, // it stays, though two newer ones are whole
		{"gggi", "ab", 1},
		{"xgg", "", 2}, // what is broken stays
		{"iiii", "ab", 2},
		{"ggxgx", "a", 2},  // and does not count
		{"gggAAA", "a", 2}, // what is of a time to come stays, and pushes nothing out
		{"gAA", "", 1},
		{"fffggff", "d", 1}, // what is of another set stays, and does not count
		{"", "", 1},
	} {
		got := expendable(files(c.files), c.keep)
		slices.Sort(got)
		if strings.Join(got, "") != c.want {
			t.Errorf("%s, keep %d: %v, want %q", c.files, c.keep, got, c.want)
		}
	}
}

func TestWhenTheNextBackupBegins(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	for _, c := range []struct {
		first, now int
		every      time.Duration
		ok         bool
		want       int
	}{
		{0, 100, time.Hour, true, 3600},
		{0, 100, time.Hour, false, 400},
		{0, 3700, time.Hour, true, 7200}, // one was missed
		{0, 7200, time.Hour, true, 10800},
		{0, 90, time.Minute, false, 120},
	} {
		if got := following(at(c.first), at(c.now), c.every, c.ok); !got.Equal(at(c.want)) {
			t.Errorf("%+v: %d", c, got.Unix())
		}
	}
}

func TestNamesOfFiles(t *testing.T) {
	at := time.Date(2026, 11, 30, 19, 0, 0, 0, time.FixedZone("", 3600))
	for _, zip := range []bool{false, true} {
		name := NameAt(at, zip)
		if got, ok := timeOf(name); !ok || !got.Equal(at) {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
	for _, name := range []string{"evercache-20261130T190000Z.backup.incomplete-ab", "x.backup", "evercache-.backup", "evercache-20261130T190000Z", ""} {
		if _, ok := timeOf(name); ok {
			t.Errorf("%q is one", name)
		}
	}
}

func TestTheLineOfProgress(t *testing.T) {
	if got, want := meterText("backup", 500, 2e6, 1000, 5*time.Second), "backup: 500 of about 1000 (50%), 2.0 MB, 100 records/s, 5s left"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	var b bytes.Buffer
	m := NewMeter(&b, "verify")
	m.Show(1, 2, 0)
	m.Show(2, 3, 0) // too soon
	m.Clear()
	if text := b.String(); strings.Count(text, "verify") != 1 || strings.ContainsRune(text, '\x1b') || !strings.HasSuffix(text, "\r") {
		t.Errorf("%q", text)
	}
}

// schedule runs one in a bubble, with files that Take makes.
func schedule(t *testing.T, dir string, take func(n int, name string) (Result, error), runs int) (log []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		n := 0
		s := Schedule{
			Dir: dir, Every: time.Hour, Keep: 2, MetricsFile: filepath.Join(dir, "m.prom"),
			Take: func(_ context.Context, name string) (Result, error) {
				n++
				if n > runs {
					stop()
					return Result{}, errInterrupted
				}
				return take(n, name)
			},
			Log: func(format string, a ...any) { log = append(log, format) },
		}
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return log
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := timeOf(e.Name()); ok {
			all = append(all, e.Name())
		}
	}
	return all
}

func TestAScheduleKeepsSoMany(t *testing.T) {
	dir := t.TempDir()
	data := file(t, false, someRecords(3))
	for name, content := range map[string]string{
		"evercache-19990101T000000Z.backup":               "broken",
		"evercache-19990102T000000Z.backup":               string(data),
		"mine.txt":                                        "not touched",
		"evercache-notes.backup":                          "not touched",
		"evercache-19990103T000000Z.backup.incomplete-ab": "left by a crash",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	schedule(t, dir, func(n int, name string) (Result, error) {
		switch n {
		case 2:
			return Result{}, errors.New("no Redis")
		case 4: // what the disk gives back is not what was written
			return Result{}, os.WriteFile(name, []byte("broken"), 0o600)
		}
		return Result{Size: int64(len(data)), Footer: Footer{Records: 3}, Took: time.Second}, os.WriteFile(name, data, 0o600)
	}, 6)
	want := []string{
		"evercache-19990101T000000Z.backup", // broken: for somebody to look at
		"evercache-20000101T020000Z.backup", // broken
		"evercache-20000101T020500Z.backup", // it was tried again soon
		"evercache-20000101T030000Z.backup",
	}
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if _, err := os.Stat(filepath.Join(dir, "evercache-19990103T000000Z.backup.incomplete-ab")); err == nil {
		t.Error("what a crash left is still there")
	}
	for _, mine := range []string{"mine.txt", "evercache-notes.backup", lastSuccess} {
		if _, err := os.Stat(filepath.Join(dir, mine)); err != nil {
			t.Error(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "m.prom"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"evercache_backup_last_success_timestamp_seconds 9.466956e+08", `evercache_backup_runs_total{result="success"} 4`, `evercache_backup_runs_total{result="failure"} 2`,
		`evercache_backup_runs_total{result="incomplete"} 0`, "evercache_backup_last_duration_seconds 1",
	} {
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
	// The next one knows when the last was.
	s := Schedule{Dir: dir}
	if s.last().At.IsZero() || s.last().Records != 3 {
		t.Errorf("%+v", s.last())
	}
}

// Nothing is removed when nothing good has come.
func TestTheLastGoodOneStays(t *testing.T) {
	dir := t.TempDir()
	good := "evercache-19990101T000000Z.backup"
	if err := os.WriteFile(filepath.Join(dir, good), file(t, false, someRecords(3)), 0o600); err != nil {
		t.Fatal(err)
	}
	incomplete := func() []byte {
		var b bytes.Buffer
		w, err := NewWriter(&b, Header{}, false)
		if err == nil {
			_, err = w.Close(1, 0, time.Time{})
		}
		if err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}()
	schedule(t, dir, func(n int, name string) (Result, error) {
		if n%2 == 0 {
			return Result{}, errors.New("no Redis")
		}
		return Result{Footer: Footer{TooLarge: 1}}, os.WriteFile(name, incomplete, 0o600)
	}, 9)
	if got := names(t, dir); len(got) != 3 || got[0] != good {
		t.Errorf("%q", got)
	}
}

func TestMetricsAreWellFormed(t *testing.T) {
	problems, err := promlint.New(strings.NewReader(metrics{last: time.Unix(1e9, 0), ok: 1}.text())).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func node(addr, role string, offset int64, link string) survey.Node {
	return survey.Node{Server: survey.Server{Addr: addr, Latency: 1}, Role: survey.Role{Name: role, Offset: offset, Link: link}}
}

func TestWhichNodeIsRead(t *testing.T) {
	set := func(nodes ...survey.Node) *survey.Survey {
		s := &survey.Survey{Mode: health.ModeSentinel, Nodes: nodes}
		for _, named := range []string{"m", "m", "other"} {
			s.Sentinels = append(s.Sentinels, survey.Sentinel{Named: named, Master: survey.Fields{}})
		}
		return s
	}
	m := node("m", "master", 100, "")
	for _, c := range []struct {
		name       string
		s          *survey.Survey
		fromMaster bool
		want       string // the first source, or a part of the error
	}{
		{"the least lagging", set(m, node("a", "replica", 50, "connected"), node("b", "replica", 90, "connected")), false, "b"},
		{"its link is down", set(m, node("a", "replica", 50, "connected"), node("b", "replica", 90, "connect")), false, "a"},
		{"none", set(m), false, "--from-master"},
		{"the master", set(m), true, "m"},
		{"a replica first", set(m, node("a", "replica", 5, "connected")), true, "a"},
		{"no master", set(node("m", "replica", 5, "connected")), true, "not a master"},
		{"it is silent", set(), true, "does not answer"},
		{"a server", &survey.Survey{Mode: health.ModeStandalone, Nodes: []survey.Node{m}}, false, "m"},
		{"no server", &survey.Survey{Mode: health.ModeStandalone}, false, "does not answer"},
		{"no slots", &survey.Survey{Mode: health.ModeCluster}, false, "16384 slots"},
		{"nothing", &survey.Survey{Mode: health.ModeMemoryOnly}, false, "no Redis"},
	} {
		got := ""
		all, err := shardsOf(c.s)
		if err == nil {
			var from []*survey.Node
			if from, err = all[0].sources(c.s.Mode, c.fromMaster); err == nil {
				got = from[0].Addr
			}
		}
		if err != nil {
			got = err.Error()
		}
		if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestWhatARefusalMeans(t *testing.T) {
	for _, c := range []struct {
		text           string
		was, want      outcome
		lasting, again bool
	}{
		{"BUSYKEY Target key name already exists.", undone, existed, false, false},
		{"BUSYKEY Target key name already exists.", restored, restored, false, false},
		{"DUMP payload version or checksum are wrong", undone, refused, false, false},
		{"Bad data format", undone, refused, false, false},
	} {
		i := item{got: c.was}
		if got, lasting, again := i.after(errors.New(c.text)); got != c.want || lasting != c.lasting || again != c.again {
			t.Errorf("%s: %v, %v, %v", c.text, got, lasting, again)
		}
	}
	if newer := (State{Masters: []string{"m"}, Versions: []string{"7.0.15"}}).Newer([]Section{{RedisVersion: "7.2.1"}}); newer == "" {
		t.Error("7.2 is no newer than 7.0")
	}
	if newer := (State{Masters: []string{"m"}, Versions: []string{"7.10.0"}}).Newer([]Section{{RedisVersion: "7.2.1"}}); newer != "" {
		t.Error(newer)
	}
}

// While another node may become the master, or is it already, nothing is written.
func TestWhoseTurnItIs(t *testing.T) {
	set := func(flags string, m, other survey.Node) *survey.Survey {
		s := &survey.Survey{Mode: health.ModeSentinel, Nodes: []survey.Node{m, other}}
		for range 3 {
			s.Sentinels = append(s.Sentinels, survey.Sentinel{Named: "m", Master: survey.Fields{"flags": flags}})
		}
		return s
	}
	with := func(n survey.Node, id, before string) survey.Node {
		n.Info = survey.Fields{"master_replid": id, "master_replid2": before}
		return n
	}
	m := node("m", "master", 1, "")
	for _, c := range []struct {
		name string
		s    *survey.Survey
		want string
	}{
		{"well", set("master", m, node("a", "replica", 1, "connected")), ""},
		{"an election", set("master,failover_in_progress", m, node("a", "replica", 1, "connected")), "failover is under way"},
		{"a successor", set("master", with(m, "1", "0"), with(node("a", "master", 1, ""), "2", "1")), "a says that it is a master too"},
		{"a predecessor", set("master", with(m, "2", "1"), with(node("a", "master", 1, ""), "1", "0")), ""},
		{"a stranger", set("master", m, node("a", "master", 1, "")), "a says that it is a master too"},
	} {
		all, err := shardsOf(c.s)
		if err != nil || c.want == "" && all[0].rival != "" || !strings.Contains(all[0].rival, c.want) {
			t.Errorf("%s: %q, %v", c.name, all[0].rival, err)
		}
		if n := all[0].promotable(); c.want == "" && n != 1 { // who was replaced may be the next
			t.Errorf("%s: %d may be promoted", c.name, n)
		}
	}
}

func TestADirectoryIsOfOneSchedule(t *testing.T) {
	dir := t.TempDir()
	first, err := hold(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	s := Schedule{Dir: dir, Every: time.Hour, Keep: 1, Log: func(string, ...any) {}, Take: func(context.Context, string) (Result, error) {
		t.Error("it takes a backup")
		return Result{}, errInterrupted
	}}
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another evercache backup --every uses "+dir) {
		t.Error(err)
	}
}

// Two sets took turns with one directory: neither removes files of the other.
func TestFilesOfAnotherSetAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	put := func(n int, h Header) {
		t.Helper()
		f, err := os.Create(filepath.Join(dir, NameAt(time.Unix(int64(1e9+n), 0), false)))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		w, err := NewWriter(f, h, false)
		if err == nil {
			_, err = w.Close(0, 0, time.Now())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	mine, other := Header{Mode: "sentinel", Prefix: "cart:"}, Header{Mode: "sentinel"}
	for n := range 8 {
		put(n, []Header{mine, other}[n%2])
	}
	sh := &shelf{dir: dir, of: &mine}
	p, err := sh.prune(t.Context(), 1)
	if err != nil || len(p.removed) != 3 || len(p.foreign) != 4 || len(names(t, dir)) != 5 {
		t.Errorf("%+v, %v: %v", p, err, names(t, dir))
	}
}

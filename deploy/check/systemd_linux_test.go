package check

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const units = "../systemd"

// unitFiles copies the units into a folder, with programs that are here. edit may
// spoil one.
func unitFiles(t *testing.T, edit func(dir string)) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(units)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"evercache.service", "evercache-backup.service"} {
		file := filepath.Join(dir, name)
		text := strings.ReplaceAll(read(t, file), "/usr/local/bin/evercache", binary)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A distribution brings these; the drop-ins are about them.
	for _, name := range []string{"redis-server.service", "redis-sentinel.service"} {
		text := "[Service]\nType=notify\nExecStart=/bin/true\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if edit != nil {
		edit(dir)
	}
	return dir
}

// verify is what systemd says about the units, "" when nothing. Its exit status is 0
// whatever it finds.
func verify(t *testing.T, dir string) string {
	t.Helper()
	cmd := exec.Command("systemd-analyze", "verify", "./evercache.service", "./evercache-backup.service", "./evercache-backup.timer",
		"./redis-server.service", "./redis-sentinel.service")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":", "SYSTEMD_LOG_LEVEL=warning")
	out, err := cmd.CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatalf("systemd-analyze: %v (Debian: apt-get install systemd)", err)
	}
	return string(out)
}

var exposure = regexp.MustCompile(`exposure level for \S+: ([0-9.]+)`)

// exposed is how much of the system a unit can reach: 0 nothing, 10 all.
func exposed(t *testing.T, dir, unit string) float64 {
	t.Helper()
	cmd := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", "./"+unit)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	m := exposure.FindSubmatch(out)
	if m == nil {
		t.Fatalf("systemd-analyze security: %v\n%s", err, out)
	}
	level, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return level
}

func TestTheUnitsAreSound(t *testing.T) {
	dir := unitFiles(t, nil)
	if out := verify(t, dir); out != "" {
		t.Error(out)
	}
	for _, unit := range []string{"evercache.service", "evercache-backup.service"} {
		if level := exposed(t, dir, unit); level > 1.5 {
			t.Errorf("%s: exposure %.1f, at most 1.5 is wanted", unit, level)
		}
	}
	for _, f := range unitFaults(read(t, filepath.Join(dir, "evercache.service"))) {
		t.Error(f)
	}
	if complaint := judge(t, environmentOf(t, read(t, filepath.Join(units, "evercache.service")), secretsFor(t))); complaint != "" {
		t.Error(complaint)
	}
}

// unitFaults lists what systemd cannot know.
func unitFaults(unit string) (all []string) {
	value := func(name string) string {
		_, text, _ := strings.Cut(unit, "\n"+name+"=")
		text, _, _ = strings.Cut(text, "\n")
		return text
	}
	if stop, err := time.ParseDuration(value("TimeoutStopSec")); err != nil || stop <= 10*time.Second {
		all = append(all, fmt.Sprintf("TimeoutStopSec=%v: it is killed before EVERCACHE_DRAIN_TIMEOUT (10 s) is over", value("TimeoutStopSec")))
	}
	if value("Type") != "notify" {
		all = append(all, "Type= is not notify")
	}
	if n, err := strconv.Atoi(value("LimitNOFILE")); err != nil || n < 4096 {
		all = append(all, "LimitNOFILE= is below 4096")
	}
	if value("Restart") != "on-failure" || strings.Contains(unit, "RestartPreventExitStatus=") { // a panic has the status of a wrong configuration
		all = append(all, "a process that has failed is not started again")
	}
	for _, m := range regexp.MustCompile(`%d/([\w-]+)`).FindAllStringSubmatch(unit, -1) {
		if !strings.Contains(unit, "\nLoadCredential="+m[1]+":") {
			all = append(all, "no LoadCredential= for "+m[1])
		}
	}
	if regexp.MustCompile(`(?m)^Environment=\w*(PASSWORD|TOKEN)=`).MatchString(unit) {
		all = append(all, "a secret is in the environment")
	}
	return all
}

func secretsFor(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{"redis-password", "sentinel-password", "token"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("a-word-of-24-characters-"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// environmentOf is what the unit and the example of its settings give to evercache.
func environmentOf(t *testing.T, unit, secrets string) (environ []string) {
	t.Helper()
	fill := strings.NewReplacer("%d", secrets, "%S", t.TempDir())
	for line := range strings.Lines(unit + "\n" + read(t, filepath.Join(units, "evercache.env.example"))) {
		line, _ = strings.CutPrefix(strings.TrimSpace(line), "Environment=")
		if setting.MatchString(line) && !strings.HasPrefix(line, "#") {
			environ = append(environ, fill.Replace(line))
		}
	}
	if len(environ) < 8 {
		t.Fatalf("only %q", environ)
	}
	return environ
}

func TestFaultsOfTheUnitsAreFound(t *testing.T) {
	plant := func(file, old, text string) func(string) {
		return func(dir string) { replace(t, file, old, text)(dir) }
	}
	for what, planted := range map[string]struct {
		edit func(string)
		want string
	}{
		"a key that systemd does not know":  {plant("evercache.service", "RestartSec=", "RestartSecs="), "RestartSecs"},
		"a value that it does not take":     {plant("evercache.service", "Type=notify", "Type=notfy"), "notfy"},
		"a program that is not there":       {plant("evercache-backup.service", binary+" backup", "/nowhere backup"), "/nowhere"},
		"a calendar that it cannot read":    {plant("evercache-backup.timer", "00/6:00:00", "25:00:00"), "calendar specification"},
		"a drop-in with a misspelt setting": {plant("redis-server.service.d/evercache.conf", "OOMScoreAdjust", "OOMScore"), "OOMScore"},
	} {
		if out := verify(t, unitFiles(t, planted.edit)); !strings.Contains(out, planted.want) {
			t.Errorf("%s: found %q, want %q", what, out, planted.want)
		}
	}
	open := unitFiles(t, plant("evercache.service", "DynamicUser=yes", "DynamicUser=no"))
	if level := exposed(t, open, "evercache.service"); level <= 1.5 {
		t.Errorf("a service of root has exposure %.1f", level)
	}
	unit := read(t, filepath.Join(units, "evercache.service"))
	for _, planted := range []struct{ old, text, want string }{
		{"TimeoutStopSec=20s", "TimeoutStopSec=10s", "EVERCACHE_DRAIN_TIMEOUT"},
		{"Type=notify", "Type=simple", "Type="},
		{"RestartSec=2s", "RestartPreventExitStatus=2", "not started again"},
		{"LimitNOFILE=65536", "LimitNOFILE=1024", "LimitNOFILE"},
		{"LoadCredential=token:", "LoadCredential=tokens:", "no LoadCredential= for token"},
		{"Environment=EVERCACHE_LOG_FORMAT=json", "Environment=REDIS_PASSWORD=x", "a secret"},
	} {
		if found := strings.Join(unitFaults(strings.Replace(unit, planted.old, planted.text, 1)), "\n"); !strings.Contains(found, planted.want) {
			t.Errorf("found %q, want %q", found, planted.want)
		}
	}
}

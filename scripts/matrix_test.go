// Package scripts_test runs the scripts with programs in place of those that they need.
package scripts_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// shop is a machine as matrix.sh sees it: programs of our own first on its PATH, and a cache.
type shop struct {
	*testing.T
	bin, cache string
}

func newShop(t *testing.T) shop {
	t.Parallel()
	return shop{t, t.TempDir(), t.TempDir()}
}

// program puts a shell script on the PATH.
func (s shop) program(name, text string) {
	s.Helper()
	s.write(filepath.Join(s.bin, name), "#!/bin/sh\n"+text)
}

func (s shop) write(path, text string) {
	s.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		s.Fatal(err)
	}
}

// apt is an apt-get and an apt-cache whose suites have this version of every package.
func (s shop) apt(version, update string) {
	s.Helper()
	s.program("apt-get", `case " $* " in
*" indextargets "*) echo "sid main /dev/null:1 http://nowhere.invalid/debian/" ;;
*" update "*) `+update+` ;;
*) exit 100 ;;
esac
`)
	s.program("apt-cache", `echo "  Candidate: `+version+`"`)
}

// has puts a server into the cache that says it is of a version.
func (s shop) has(name, version string) (file string) {
	s.Helper()
	dir := filepath.Join(s.cache, "evercache", "matrix", name)
	file = filepath.Join(dir, "root", "usr", "lib", "any", "ld-linux-any.so.2")
	s.write(file, "#!/bin/sh\necho Server v="+version+"\n")
	sum := exec.CommandContext(s.Context(), "sh", "-c", "find root -type f -exec sha256sum {} + >SHA256SUMS")
	sum.Dir = dir
	if out, err := sum.CombinedOutput(); err != nil {
		s.Fatalf("%v: %s", err, out)
	}
	return file
}

// tests is a go command whose tests all pass, but for one that ends otherwise: "NAME=fail".
func (s shop) tests(but string) {
	s.Helper()
	s.program("go", `printf '%s\n' "$EVERCACHE_CLUSTER_ATOMIC $(redis-server)" >>"`+s.cache+`/started"
while [ "$1" != -run ]; do
	[ "$1" != --jsonfile ] || log=$2
	shift
done
names=$2
shift 2
echo "$names $*" | awk -v but="`+but+`" '{
	gsub(/[$^]/, "", $1)
	split(but, other, "=")
	for (i = split($1, tests, "|"); i > 0; i--) {
		end = tests[i] == other[1] ? other[2] : "pass"
		for (n = 2; n <= NF && end != ""; n++)
			printf "{\"Action\":\"%s\",\"Package\":\"github.com/evercache/evercache/%s\",\"Test\":\"%s\",\"Elapsed\":1}\n", end, substr($n, 3), tests[i]
	}
}' >"$log"
! grep -q '"fail"' "$log"
`)
}

// run runs the script; ok says whether it ended well.
func (s shop) run(matrix string, args ...string) (said string, ok bool) {
	s.Helper()
	c := exec.CommandContext(s.Context(), "./matrix.sh", args...)
	c.Env = append(os.Environ(), "PATH="+s.bin+":"+os.Getenv("PATH"), "XDG_CACHE_HOME="+s.cache, "MATRIX="+matrix, "EVERCACHE_CLUSTER_ATOMIC=")
	out, err := c.CombinedOutput()
	return string(out), err == nil
}

// left is what is in the cache.
func (s shop) left() []string {
	all, _ := filepath.Glob(filepath.Join(s.cache, "evercache", "matrix", "*"))
	hidden, _ := filepath.Glob(filepath.Join(s.cache, "evercache", "matrix", ".*"))
	return append(all, hidden...)
}

func TestMatrixSaysWhatItCannotHave(t *testing.T) {
	for _, tt := range []struct {
		name, matrix, version, update, want string
	}{
		{"an unknown version", "redis-8.0 redis-1.0", "5:8.0.1-1", "true", `names "redis-1.0", want some of: redis-8.0 valkey-9.1`},
		{"no network", "redis-8.0", "5:8.0.1-1", "echo E: could not connect; exit 100", "without a network there is no matrix: E: could not connect"},
		{"the suites have moved on", "redis-8.0", "5:8.2.1-1", "true", "no suite has redis-server 8.0: sid has 5:8.2.1-1; trixie has 5:8.2.1-1;"},
		{"packages that do not come", "valkey-9.1", "9.1.7-1", "true", "its packages could not be fetched"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.apt(tt.version, tt.update)
			s.tests("")
			said, ok := s.run(tt.matrix)
			if ok || !strings.Contains(said, tt.want) {
				t.Errorf("ended well: %v, and said: %s", ok, said)
			}
			if left := s.left(); len(left) > 0 {
				t.Errorf("left in the cache: %v", left)
			}
			if _, err := os.Stat(filepath.Join(s.cache, "started")); err == nil {
				t.Error("tests were started")
			}
		})
	}
}

// What is in the cache is used while it is whole.
func TestMatrixChecksWhatIsInTheCache(t *testing.T) {
	for _, tt := range []struct {
		name, version string
		damaged, ok   bool
	}{
		{"whole", "9.1.5", false, true},
		{"damaged", "9.1.5", true, false},
		{"of another version", "9.2.0", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.apt("", "echo asked; exit 100")
			file := s.has("valkey-9.1", tt.version)
			if tt.damaged {
				s.write(file, "#!/bin/sh\necho v=9.1.6\n")
			}
			said, ok := s.run("", "bin", "valkey-9.1")
			if ok != tt.ok || ok != strings.HasSuffix(said, "/valkey-9.1/bin\n") || ok == strings.Contains(said, "asked") {
				t.Errorf("ended well: %v, and said: %s", ok, said)
			}
		})
	}
}

func TestMatrixEndsWithATable(t *testing.T) {
	for _, tt := range []struct {
		name, but string
		row       string // what follows the version and the number of tests
		says      string
	}{
		{"all pass", "", " 0 0 ", ""},
		{"one fails", "TestTakeover=fail", " 1 0 ", ""},
		{"one does not run", "TestDrills/revocations=", " 0 1 ", "did not run: test/cluster TestDrills/revocations"},
		{"one is skipped", "TestTakeover=skip", " 0 1 ", "did not run: test/cluster TestTakeover"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.has("redis-8.0", "8.0.5")
			s.has("valkey-9.1", "9.1.5")
			s.tests(tt.but)
			said, ok := s.run("")
			if ok != (tt.name == "all pass") || !strings.Contains(said, tt.says) {
				t.Errorf("ended well: %v, and said: %s", ok, said)
			}
			table := strings.Join(strings.Fields(said), " ")
			for version, server := range map[string]string{"redis-8.0": "8.0.5", "valkey-9.1": "9.1.5"} {
				n := 28
				if version == "valkey-9.1" {
					n++ // slots move as one
				}
				if want := fmt.Sprint(version, " ", server, " ", n, tt.row); !strings.Contains(table, want) {
					t.Errorf("the table has no row %q: %s", want, said)
				}
			}
			started, err := os.ReadFile(filepath.Join(s.cache, "started"))
			if want := " Server v=8.0.5\nyes Server v=9.1.5\n"; err != nil || string(started) != want {
				t.Errorf("the tests ran on %q, want %q: %v", started, want, err)
			}
		})
	}
}

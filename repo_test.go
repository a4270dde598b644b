package evercache

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The tests of this file hold what the architecture says of the tree: they read
// its files and need nothing else but the go command.

const module = "github.com/evercache/evercache"

// mayImport says which packages of this module a package may import, and why no
// others. Test files may import more.
var mayImport = []struct {
	pkg string
	may []string
	why string
}{
	{
		".",
		[]string{"internal/shard", "internal/clock", "internal/counter", "internal/deadline", "internal/flight", "internal/inflight", "internal/keylock", "internal/local", "internal/origin", "internal/keyfiles", "internal/kit", "internal/logqueue", "internal/censor", "internal/findings", "health", "stats", "internal/heapsize", "internal/roundtrip", "internal/errsummary", "trace"},
		"an application that imports the library gets the library: no server, no settings from the environment, no test bed. What is below the shard is the shard's: with several masters the root must not change",
	},
	{"health", nil, "what is known is plain values: whoever shows them links nothing else of ours"},
	{"stats", nil, "counters are plain values, and what is counted is known elsewhere"},
	{"trace", []string{"stats"}, "who traces is told in plain values: the library knows no tracing library"},
	{"internal/findings", []string{"health", "stats", "internal/acl", "internal/censor"}, "a finding is a function of values: tables test it, and no network is near"},
	{"internal/acl", nil, "the cache and the denylist ask for their rights alike"},
	{"internal/durations", nil, "the settings and the requests of the server read durations alike"},
	{"internal/censor", nil, "a text becomes fit to be shown, whoever sent it"},
	{"internal/kit", []string{"health"}, "types only: the shard gives them to packages that build on it, without exporting them"},
	{"internal/logqueue", nil, "a log's handler is anybody's: the queue above it knows slog and nothing else"},
	{"internal/errsummary", nil, "errors are counted by kind, whoever has them"},
	{"internal/roundtrip", nil, "what JSON loses follows from a type, and from nothing of ours"},
	{"internal/suites", nil, "a list"},
	{"internal/keyfiles", nil, "files become TLS settings; whose they are, and what is told of them, is the root's"},
	{"internal/heapsize", nil, "what a value takes in memory is a matter of its type, whoever keeps it"},
	{"internal/cover", nil, "what vouches for an entry is a moment: memory and the shard share it, and neither knows the other"},
	{"internal/local", []string{"internal/cover"}, "memory knows nothing of Redis: the root translates, and a test needs no server"},
	{"internal/breaker", nil, "the breaker is a pure function of outcomes, whoever has them"},
	{"internal/outbox", []string{"internal/slot"}, "what is kept must not depend on what it is sent with"},
	{"internal/journal", nil, "a file of keys and bytes: what they mean, and what is replayed, is the root's"},
	{"internal/sentinel", nil, "the decision is a pure function of observations: recordings are enough to test it"},
	{"internal/slot", nil, "the slot of a key follows from the key"},
	{"internal/cluster", []string{"internal/sentinel", "internal/slot"}, "the decision is a pure function of observations; of sentinel it has addresses, and what a node says of its replication"},
	{"internal/topology", []string{"internal/slot"}, "which shard has a key is a table; what a shard is, and who fills the table, is known elsewhere"},
	{"internal/clock", nil, "time is nobody's"},
	{"internal/flight", nil, "who shares a read or a load follows from keys: what is read, and from where, is the root's"},
	{"internal/origin", nil, "when an origin is left alone follows from how loads have ended: who loads what is the root's"},
	{"internal/inflight", nil, "it counts what is under way, whatever that is"},
	{"internal/counter", []string{"stats"}, "a counter becomes a plain value; what is counted is known elsewhere"},
	{"internal/deadline", []string{"internal/remote"}, "a node is not judged by what is left of a deadline: it has to be told of the whole"},
	{"internal/keylock", []string{"internal/deadline"}, "who waits for a key waits no longer than his deadline"},
	{"internal/shard", []string{"health", "stats", "internal/acl", "internal/clock", "internal/cluster", "internal/counter", "internal/cover", "internal/deadline", "internal/findings", "internal/inflight", "internal/journal", "internal/keylock", "internal/kit", "internal/outbox", "internal/remote", "internal/sentinel", "internal/slot", "internal/topology", "internal/watch", "internal/errsummary", "trace"}, "masters and what is owed to them, in bytes: it knows neither types nor policies nor memory, and calls up through a listener only"},
	{"internal/remote", []string{"internal/acl", "internal/breaker", "internal/censor", "internal/slot", "internal/suites", "trace"}, "a node owns its breaker; it knows neither the cache above it nor who chose it"},
	{"internal/watch", []string{"internal/censor", "internal/cluster", "internal/remote", "internal/sentinel", "internal/slot"}, "it asks over remote and lets sentinel and cluster decide; what callers do meanwhile is the root's"},

	{"internal/faultnet/loopback", nil, "a port is all there is to it"},
	{"internal/faultnet", []string{"internal/faultnet/loopback"}, "a proxy breaks the network of any program, so it knows none"},
	{"internal/redisproc", []string{"internal/faultnet/loopback"}, "the test bed is the judge of the library and must not share its mistakes"},
	{"internal/metricsdoc", nil, "text becomes a table of a document, and only tests ask for it"},
	{"internal/table", nil, "cells become lines, whatever they are about"},
	{"internal/dev", []string{"internal/redisproc", "internal/sentinel", "internal/cluster", "internal/table"}, "it starts servers and shows what they say, which it reads as the library does; the service on them is main's to start"},
	{"internal/clusterlab", []string{"internal/redisproc"}, "it records what servers say, and has no opinion about it: the judge is internal/cluster"},
	{"examples/origin", []string{"."}, "what protects an origin is seen with the library alone"},
	{"examples/quickstart", []string{"."}, "a first program needs nothing but the library"},
	{"redistest", []string{"internal/redisproc", "internal/faultnet", "internal/faultnet/loopback"}, "users' tests of any program start servers with it; the library's own tests use it without a cycle"},

	{"revoke", []string{".", "internal/acl", "internal/kit", "internal/findings", "health", "stats"}, "a denylist is not a cache: of the client it has what is inside, and no outbox of its own"},
	{"config", []string{".", "health", "internal/durations"}, "the environment becomes Options, and nothing is opened"},
	{"status", []string{"health", "stats", "internal/censor"}, "it shows what the Client knows, wherever that came from"},
	{"evercacheprom", []string{"health", "stats"}, "it pulls from Health and Stats; only who asks for metrics links Prometheus"},

	{"internal/otlp", nil, "spans are sent to a collector, whatever they stand for"},
	{"internal/admin", nil, "it looks into the process, whatever the process does"},
	{"internal/audit", nil, "events become lines of a file, and it knows nothing of what has happened"},
	{"internal/page", []string{"stats"}, "files and a snapshot: who serves them is the daemon's"},
	{"internal/daemon", []string{".", "health", "stats", "internal/page", "internal/admin", "internal/audit", "internal/durations", "internal/otlp", "trace", "config", "status", "evercacheprom", "revoke", "internal/logqueue", "internal/censor", "internal/suites"}, "the daemon is a user of the public packages like any other"},
	{"cmd/evercache", []string{".", "health", "config", "status", "evercacheprom", "revoke", "internal/daemon", "internal/audit", "internal/backup", "internal/censor", "internal/dev", "internal/doctor", "internal/drill", "internal/history", "internal/logqueue", "internal/memlimit", "internal/overview", "internal/sdnotify", "internal/survey", "internal/switchover", "internal/table"}, "main wires; what it does is in packages that are tested without it"},
	{"internal/survey", []string{".", "health", "internal/acl", "internal/censor", "internal/cluster", "internal/findings", "internal/keyfiles", "internal/remote", "internal/sentinel", "internal/shard", "internal/watch"}, "it asks the servers once, with the library's own words for what they answer: what is wrong with it is decided elsewhere"},
	{"internal/history", []string{"internal/censor", "internal/sentinel", "internal/table"}, "what is told is a function of what was heard: tables test it, and no network is near"},
	{"internal/overview", []string{"health", "internal/censor", "internal/cluster", "internal/slot", "internal/survey", "internal/table"}, "what is shown is a function of what was heard: tables test it, and no network is near"},
	{"internal/backup", []string{"health", "internal/censor", "internal/cluster", "internal/remote", "internal/sentinel", "internal/slot", "internal/survey"}, "it copies what servers hold: of the cache above it knows the names of its bookkeeping, and nothing else"},
	{"internal/doctor", []string{"health", "config", "internal/censor", "internal/cluster", "internal/findings", "internal/remote", "internal/slot", "internal/survey"}, "what is wrong follows from a survey and the settings, so tables test it; only Run asks for a survey"},
	{"internal/switchover", []string{"health", "internal/acl", "internal/cluster", "internal/doctor", "internal/remote", "internal/survey"}, "what is to be done follows from a survey, so tables test it; then it talks to the servers that the survey has found, and to no others"},
	{"internal/drill", []string{".", "health", "internal/censor", "internal/cluster", "internal/history", "internal/remote", "internal/slot", "internal/survey", "internal/table"}, "it uses evercache as an application does, and a plain client and a witness beside it, which talk to the servers that a survey has found; what breaks the set is given to it"},
	{"internal/sdnotify", nil, "a few words to systemd, whoever says them"},
	{"internal/memlimit", nil, "files of the system become a number, and only a process of our own may be bound by it"},
	{"internal/chaos", []string{".", "health", "redistest", "internal/redisproc", "internal/faultnet", "internal/faultnet/loopback"}, "a black box: it sees what an application sees"},
	{"internal/testbed", []string{"health", "stats", "internal/redisproc", "internal/faultnet"}, "the tests of every layer have it: it knows none"},
	{"internal/testkit", []string{".", "config", "health", "internal/chaos", "redistest"}, "what the tests of test/ share: they use what an application uses"},
}

// onlyIn says which packages may import a module of others.
var onlyIn = []struct {
	prefix string
	pkgs   []string
	why    string
}{
	{"github.com/prometheus/", []string{"evercacheprom", "internal/daemon"}, "the library must not bring Prometheus into every application"},
	{"go.opentelemetry.io/", []string{"evercacheotel"}, "nor OpenTelemetry: its adapter is a module of its own"},
	{"github.com/redis/rueidis", []string{"internal/remote"}, "one place knows the client's traps: who dials, who waits, what a reply means"},
	{"github.com/maypok86/otter", []string{"internal/local"}, "one place knows the map's traps: what ends, what is weighed, who stops its goroutine"},
}

// source is one Go file of the module, parsed as far as its imports.
type source struct {
	file string // slash-separated, from the root of the tree
	*ast.File
	imports []string
}

func (s source) dir() string  { return path.Dir(s.file) }
func (s source) isTest() bool { return strings.HasSuffix(s.file, "_test.go") }

// tree lists the files under the root of the tree, without what is not part of
// it: version control and what was built.
func tree(t *testing.T) []string {
	t.Helper()
	var files []string
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (name == ".git" || name == "bin") {
			return fs.SkipDir
		}
		if name == ".git" {
			return nil // of a work tree beside the repository: it says where that is
		}
		if d.Type().IsRegular() && path.Ext(name) != ".test" && path.Ext(name) != ".out" {
			files = append(files, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	for _, name := range tree(t) {
		if path.Ext(name) != ".go" || strings.Contains(name, "testdata/") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.FromSlash(name), nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		s := source{file: name, File: f}
		for _, i := range f.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			s.imports = append(s.imports, p)
		}
		all = append(all, s)
	}
	if len(all) < 50 {
		t.Fatalf("only %d Go files: this is not the root of the tree", len(all))
	}
	return all
}

// ours is the directory of a package of this module.
func ours(imported string) (dir string, ok bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

// inModule leaves out the modules beside the library.
func inModule(t *testing.T, dir string) bool {
	t.Helper()
	for ; dir != "."; dir = path.Dir(dir) {
		if _, err := os.Stat(filepath.Join(filepath.FromSlash(dir), "go.mod")); err == nil {
			return false
		}
	}
	return true
}

func TestImportsGoOneWay(t *testing.T) {
	rules := map[string]int{}
	for i, r := range mayImport {
		rules[r.pkg] = i
	}
	for _, s := range sources(t) {
		if s.isTest() || !inModule(t, s.dir()) {
			continue
		}
		i, known := rules[s.dir()]
		if !known {
			t.Errorf("%s: say in mayImport what the package may import, and why", s.dir())
			rules[s.dir()] = -1
		}
		if i < 0 || !known {
			continue
		}
		for _, imported := range s.imports {
			if dir, ok := ours(imported); ok && !slices.Contains(mayImport[i].may, dir) {
				t.Errorf("%s imports %s: %s", s.file, dir, mayImport[i].why)
			}
			for _, only := range onlyIn {
				if strings.HasPrefix(imported, only.prefix) && !slices.Contains(only.pkgs, s.dir()) {
					t.Errorf("%s imports %s: %s", s.file, imported, only.why)
				}
			}
		}
	}
}

// The seam between the root and the shards: a Store, and the Class of a key. The root
// does not know which shard a key belongs to. So the seam is to stay small.
func TestTheSeamToAShardIsSmall(t *testing.T) {
	const most = 65
	types := []string{"Store", "Class"}
	var seam []string
	for _, s := range sources(t) {
		if s.isTest() || s.dir() != "internal/shard" && s.dir() != "." {
			continue
		}
		if s.dir() == "." {
			text, err := os.ReadFile(s.file)
			if err != nil || strings.Contains(string(text), "store.Single()") || strings.Contains(string(text), "shard.Shard") {
				t.Errorf("%s speaks of one shard (%v)", s.file, err)
			}
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.FromSlash(s.file), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if of := receiver(n); n.Name.IsExported() && slices.Contains(types, of) {
					seam = append(seam, of+"."+n.Name.Name)
				}
				return false
			case *ast.TypeSpec:
				if of, ok := n.Type.(*ast.StructType); ok && slices.Contains(types, n.Name.Name) {
					for _, field := range of.Fields.List {
						for _, name := range field.Names {
							if name.IsExported() {
								seam = append(seam, n.Name.Name+"."+name.Name)
							}
						}
					}
				}
			}
			return true
		})
	}
	slices.Sort(seam)
	if len(seam) > most {
		t.Errorf("%d methods and fields, at most %d were wanted: %s", len(seam), most, strings.Join(seam, " "))
	}
	if !slices.Contains(seam, "Class.Write") || !slices.Contains(seam, "Store.Locks") {
		t.Errorf("this is not the seam: %v", seam)
	}
}

// receiver is the type that a method is of.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	of := f.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	name, _ := of.(*ast.Ident)
	if name == nil {
		return ""
	}
	return name.Name
}

// The rules above are about direct imports. This one asks the go command what
// an application really links.
func TestTheLibraryReachesNoServerAndNoMetrics(t *testing.T) {
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", ".")
	list.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOPROXY=off", "GOWORK=off")
	var complaint bytes.Buffer
	list.Stderr = &complaint
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &complaint)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, module+"/internal/remote") {
		t.Fatalf("go list does not show what the root imports:\n%s", out)
	}
	for bad, why := range map[string]string{
		"github.com/prometheus/":          "an application that does not want Prometheus must not link it",
		"go.opentelemetry.io/":            "nor OpenTelemetry",
		module + "/internal/daemon":       "the library is not the server",
		module + "/internal/redisproc":    "the library starts no process",
		module + "/internal/faultnet":     "nor breaks a network",
		module + "/config":                "the library reads no environment",
		"testing":                         "a program must not carry the testing package and its flags",
		"net/http/httptest":               "nor a test server",
		"github.com/google/go-cmp/":       "that is for tests",
		"github.com/rogpeppe/go-internal": "that is for tests",
	} {
		for _, dep := range deps {
			if dep == bad || strings.HasPrefix(dep, strings.TrimSuffix(bad, "/")+"/") {
				t.Errorf("the root package reaches %s: %s", dep, why)
			}
		}
	}
}

func TestEveryPackageIsDocumentedOnce(t *testing.T) {
	docs := map[string][]string{}
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		docs[s.dir()] = append(docs[s.dir()], "")
		if s.Doc == nil {
			continue
		}
		docs[s.dir()] = append(docs[s.dir()], s.file)
		want := "Package " + s.Name.Name + " "
		if s.Name.Name == "main" {
			want = "Command "
		}
		if !strings.HasPrefix(s.Doc.Text(), want) {
			t.Errorf("%s: the package comment must begin with %q", s.file, want)
		}
	}
	for dir, files := range docs {
		files = slices.DeleteFunc(files, func(f string) bool { return f == "" })
		if len(files) != 1 {
			t.Errorf("package %s has %d package comments, want one: %v", dir, len(files), files)
		}
	}
}

// homes are where people work; homeless finds the absolute paths of theirs. It
// is put together so that it does not find itself.
var (
	homes    = []string{"work", "root", "home", "Users"}
	homeless = regexp.MustCompile(`(^|[^\w.:/-])/(` + strings.Join(homes, "|") + `)/`)
)

func TestNoFileKnowsWhereItWasWritten(t *testing.T) {
	const maxText = 8 << 20
	for _, name := range tree(t) {
		data, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > maxText || bytes.IndexByte(data, 0) >= 0 {
			continue
		}
		if !slices.ContainsFunc(homes, func(h string) bool { return bytes.Contains(data, []byte("/"+h+"/")) }) {
			continue
		}
		for i, line := range bytes.Split(data, []byte("\n")) {
			if homeless.Match(line) {
				t.Errorf("%s, line %d: %s", name, i+1, line)
			}
		}
	}
}

func TestTheSearchForAbsolutePathsFindsThem(t *testing.T) {
	for text, want := range map[string]bool{
		"/" + "work/main":              true,
		`open("/` + `root/.ssh")`:      true,
		"in /" + "home/me/x":           true,
		"https://example.com/home/x":   false,
		"a/work/b":                     false,
		"./root/x":                     false,
		"the root/leaf of a /homepage": false,
	} {
		if homeless.MatchString(text) != want {
			t.Errorf("%q: found %v", text, !want)
		}
	}
}

// maySkip are the files in which a test may skip, and when: never because of
// something that a build server with Redis could have.
var maySkip = map[string]string{
	"redistest/require.go":                        "Redis is not installed, and EVERCACHE_TEST_REQUIRE_REDIS does not ask for it",
	"internal/testbed/need.go":                    "the same",
	"internal/redisproc/helpers_test.go":          "the same",
	"internal/redisproc/set_test.go":              "the server is older than SENTINEL DEBUG",
	"internal/clusterlab/main_test.go":            "the same",
	"internal/redisproc/orphan_test.go":           "the system cannot end a process with its parent",
	"internal/faultnet/loopback/loopback_test.go": "the machine leaves no ports beside the ephemeral ones",
	"config/fuzz_test.go":                         "the fuzzer made the name of a variable",
	"config/pipe_unix_test.go":                    "the file system has no named pipes",
	"config/secret_test.go":                       "the file system has no modes",
}

var skips = regexp.MustCompile(`\.Skip(f|Now)?\(`)

// A skipped test is a promise that nobody looked at. Those that -short leaves
// out may: a build server does not ask for it.
func TestNoTestSkipsWhereRedisIs(t *testing.T) {
	for _, s := range sources(t) {
		if maySkip[s.file] != "" {
			continue
		}
		data, err := os.ReadFile(filepath.FromSlash(s.file))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(data, []byte(".Skip")) {
			continue // the search below is slow
		}
		short := false
		for i, line := range strings.Split(string(data), "\n") {
			code, _, _ := strings.Cut(line, "//")
			asked := short
			short = strings.Contains(code, "if testing.Short()")
			if skips.MatchString(code) && !asked && !strings.Contains(code, "regexp.") {
				t.Errorf("%s, line %d skips; fail instead, or say in maySkip when it may: %s", s.file, i+1, strings.TrimSpace(line))
			}
		}
	}
}

// A reader finds his way in a file that is about one thing.
const maxLines = 600

func TestNoFileIsTooLong(t *testing.T) {
	for _, s := range sources(t) {
		data, err := os.ReadFile(filepath.FromSlash(s.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(data, []byte("\n")); n > maxLines {
			t.Errorf("%s has %d lines, at most %d are allowed", s.file, n, maxLines)
		}
	}
}

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
)

// shellcheck returns what it says of the scripts, "" when nothing.
func shellcheck(t *testing.T, files ...string) string {
	t.Helper()
	out, err := exec.Command("shellcheck", append([]string{"-x", "--"}, files...)...).CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatalf("shellcheck: %v (make deploy-check installs it)", err)
	}
	return string(out)
}

func TestTheScriptsAreSound(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../*.sh", "../live/*.sh", "../compose/digests", "../../scripts/*.sh", "../compose/*.sh", "../conf/*.sh", "../kubernetes/*.sh", "../kubernetes/base/*/*.sh", "../kubernetes/pod/*.sh", "../kubernetes/overlays/*/*.sh", "../compose/set/*.sh", "../monitoring/*.sh"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		files = append(files, found...)
	}
	if out := shellcheck(t, files...); out != "" {
		t.Error(out)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		inside := strings.Contains(file, "/live/") || strings.Contains(file, "/set/") || strings.Contains(file, "/base/") || strings.Contains(file, "/pod/") // run by name of the shell
		if started := info.Mode()&0o111 != 0; started == inside {
			t.Errorf("%s has mode %v", file, info.Mode())
		}
	}
	planted := filepath.Join(t.TempDir(), "planted.sh")
	if err := os.WriteFile(planted, []byte("#!/bin/sh\nrm -rf $1/data\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := shellcheck(t, planted); !strings.Contains(out, "SC2086") {
		t.Errorf("a variable without quotes: %q", out)
	}
}

// imageFaults lists what an image of ours must not be.
func imageFaults(dockerfile string) (all []string) {
	_, last, _ := cutLast(dockerfile, "\nFROM ")
	lines := strings.Split("FROM "+last, "\n")
	has := func(start string) bool {
		return slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, start) })
	}
	for _, want := range []string{
		"FROM scratch", "USER 65532:65532", `ENTRYPOINT ["/evercache"]`, `CMD ["serve"]`,
	} {
		if !has(want) {
			all = append(all, "it lacks "+want)
		}
	}
	if !strings.Contains(last, `CMD ["/evercache", "healthcheck"]`) || !has("HEALTHCHECK ") {
		all = append(all, "no health check by evercache healthcheck")
	}
	if !strings.Contains(dockerfile, "CGO_ENABLED=0") {
		all = append(all, "the binary is not static")
	}
	if has("RUN") || has("ADD") {
		all = append(all, "something runs in the last stage")
	}
	for _, from := range regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(dockerfile, -1) {
		if image := from[1]; image != "scratch" && image != "${BINARY}" && (!strings.Contains(image, ":") || strings.HasSuffix(image, ":latest")) {
			all = append(all, image+" is not pinned")
		}
	}
	for _, label := range []string{"title", "description", "source", "documentation", "licenses", "version", "revision"} {
		if !strings.Contains(last, "org.opencontainers.image."+label+"=") {
			all = append(all, "no label "+label)
		}
	}
	for _, v := range []string{"version=$VERSION", "revision=$REVISION"} {
		if !strings.Contains(dockerfile, "evercacheprom."+v) {
			all = append(all, "the binary does not know its "+v)
		}
	}
	if strings.Contains(dockerfile, "<<") || strings.Contains(dockerfile, "--mount") {
		all = append(all, "the old builder cannot read it")
	}
	return all
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func TestTheImageIsSmallAndPowerless(t *testing.T) {
	text := read(t, filepath.Join(compose, "Dockerfile"))
	for _, f := range imageFaults(text) {
		t.Error(f)
	}
	for planted, want := range map[string]string{
		strings.Replace(text, "USER 65532:65532", "USER root", 1):                      "it lacks USER",
		strings.Replace(text, "FROM scratch", "FROM alpine:latest", 1):                 "alpine:latest is not pinned",
		strings.Replace(text, "HEALTHCHECK ", "#", 1):                                  "no health check",
		strings.Replace(text, "image.revision=", "image.rev=", 1):                      "no label revision",
		strings.Replace(text, "evercacheprom.version=$VERSION", "x.y=$VERSION", 1):     "does not know its version",
		strings.Replace(text, "CGO_ENABLED=0", "", 1):                                  "not static",
		strings.Replace(text, "RUN CGO", "RUN --mount=type=cache,target=/root CGO", 1): "old builder",
		strings.Replace(text, "USER 65532:65532", "USER 65532:65532\nRUN [\"/x\"]", 1): "runs in the last stage",
	} {
		if found := strings.Join(imageFaults(planted), "\n"); !strings.Contains(found, want) {
			t.Errorf("found %q, want %q", found, want)
		}
	}
}

var (
	setting      = regexp.MustCompile(`(?m)^#?([A-Z][A-Z0-9_]*)=(.*)$`)
	substitution = regexp.MustCompile(`\$\{([A-Z][A-Z0-9_]*):-([^}]*)\}`)
)

// exampleFaults compares the settings of .env.example with what compose.yml reads.
func exampleFaults(example, composed string) (all []string) {
	shown, used := map[string]string{}, map[string]string{}
	for _, m := range setting.FindAllStringSubmatch(example, -1) {
		shown[m[1]] = m[2]
	}
	for _, m := range substitution.FindAllStringSubmatch(composed, -1) {
		if d, twice := used[m[1]]; twice && d != m[2] {
			all = append(all, m[1]+" has two defaults")
		}
		used[m[1]] = m[2]
	}
	for name, d := range used {
		if value, ok := shown[name]; !ok {
			all = append(all, name+" is not in the example")
		} else if value != d {
			all = append(all, fmt.Sprintf("%s is shown as %q, the default is %q", name, value, d))
		}
	}
	for name := range shown {
		if _, ok := used[name]; !ok {
			all = append(all, name+" is read by nobody")
		}
	}
	slices.Sort(all)
	return all
}

func TestTheExampleShowsEverySetting(t *testing.T) {
	example, composed := read(t, filepath.Join(compose, ".env.example")), ""
	for _, file := range []string{"compose.yml", "compose.tls.yml", "compose.cluster.yml", "compose.cluster.tls.yml", "compose.monitoring.yml", "certificates.sh"} {
		composed += read(t, filepath.Join(compose, file))
	}
	for _, f := range exampleFaults(example, composed) {
		t.Error(f)
	}
	for planted, want := range map[string]string{
		example + "#REDIS_SENTINEL=x\n":                       "REDIS_SENTINEL is read by nobody",
		strings.Replace(example, "#SUBNET=", "# ", 1):         "SUBNET is not in the example",
		strings.Replace(example, "PORT=3000", "PORT=8080", 1): `PUBLISH_PORT is shown as "8080"`,
	} {
		if found := strings.Join(exampleFaults(planted, composed), "\n"); !strings.Contains(found, want) {
			t.Errorf("found %q, want %q", found, want)
		}
	}
}

// applicationBlock is the environment that .env.example shows for an application.
func applicationBlock(t *testing.T, where string) []string {
	t.Helper()
	_, text, found := strings.Cut(read(t, filepath.Join(compose, ".env.example")), "# ["+where+"]")
	if !found {
		t.Fatalf("no block for %s", where)
	}
	text, _, _ = strings.Cut(text, "\n#\n")
	var environ []string
	for line := range strings.Lines(text) {
		if l, ok := strings.CutPrefix(line, "#   "); ok {
			environ = append(environ, strings.TrimSpace(l))
		}
	}
	return environ
}

// judge asks evercache itself what it thinks of an environment: exit status 2 and
// a line for each fault.
func judge(t *testing.T, environ []string) string {
	t.Helper()
	cmd := exec.Command(binary, "healthcheck", "--timeout", "1s")
	cmd.Env = append(environ, "EVERCACHE_LISTEN=127.0.0.1:"+freePort(t))
	out, _ := cmd.CombinedOutput() // the status is looked at below
	if cmd.ProcessState.ExitCode() == 2 {
		return string(out)
	}
	return ""
}

func TestTheBlocksForApplicationsAreAccepted(t *testing.T) {
	passwords := []string{"REDIS_PASSWORD=a", "REDIS_SENTINEL_PASSWORD=b"}
	addresses := hosts(project(t))
	for _, where := range []string{"compose network", "localhost"} {
		environ := applicationBlock(t, where)
		if len(environ) < 6 {
			t.Errorf("%s: only %q", where, environ)
		}
		if complaint := judge(t, append(environ, passwords...)); complaint != "" {
			t.Errorf("%s: %s", where, complaint)
		}
		for name, addr := range addresses {
			if text := strings.Join(environ, "\n"); !strings.Contains(text, addr) && !strings.Contains(text, name) && !strings.HasPrefix(name, "redis") {
				t.Errorf("%s: %s (%s) is missing", where, name, addr)
			}
			if text := strings.Join(environ, "\n"); where == "localhost" && strings.HasPrefix(name, "redis") && !strings.Contains(text, name+":6379="+addr+":6379") {
				t.Errorf("%s: the map lacks %s", where, name)
			}
		}
		planted := append(slices.Clone(environ), "REDIS_SENTINELS=sentinel-1:26379,sentinel-2")
		if complaint := judge(t, append(planted, passwords...)); !strings.Contains(complaint, "REDIS_SENTINELS") {
			t.Errorf("a sentinel without a port: %q", complaint)
		}
	}
}

// actionlint says what is wrong with workflow files, "" when nothing.
func actionlint(t *testing.T, files ...string) string {
	t.Helper()
	args := append([]string{"tool", "-modfile=tools/go.mod", "actionlint", "-shellcheck=shellcheck", "-pyflakes="}, files...)
	cmd := exec.Command("go", args...)
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatal(err)
	}
	return string(out)
}

var (
	used   = regexp.MustCompile(`uses: (\S+)`)
	tagged = regexp.MustCompile(`^[\w.-]+/[\w./-]+@(v\d+\.\d+\.\d+|[0-9a-f]{40})$`)
	goal   = regexp.MustCompile(`make ([\w-]+)`)
)

// workflowFaults lists what actionlint does not look for.
func workflowFaults(workflow, makefile string) (all []string) {
	for _, m := range used.FindAllStringSubmatch(workflow, -1) {
		if !tagged.MatchString(m[1]) {
			all = append(all, m[1]+" is not pinned to a whole version")
		}
	}
	if !strings.Contains(workflow, "\npermissions:\n  contents: read\n\n") {
		all = append(all, "it may do more than read")
	}
	if strings.Count(workflow, "actions/checkout@") != strings.Count(workflow, "persist-credentials: false") {
		all = append(all, "a checkout leaves its token behind")
	}
	targets := goal.FindAllStringSubmatch(workflow, -1)
	if m := regexp.MustCompile(`target: \[(.*)\]`).FindStringSubmatch(workflow); m != nil {
		for _, t := range strings.Split(m[1], ", ") {
			targets = append(targets, []string{"", t})
		}
	}
	for _, m := range targets {
		if !strings.Contains(makefile, "\n"+m[1]+":") {
			all = append(all, "make has no "+m[1])
		}
	}
	return all
}

func TestTheWorkflowsAreSound(t *testing.T) {
	t.Parallel()
	const dir = "../../.github/workflows/"
	makefile := read(t, "../../Makefile")
	if out := actionlint(t, ".github/workflows/ci.yml", ".github/workflows/release.yml"); out != "" {
		t.Error(out)
	}
	for _, file := range []string{"ci.yml", "release.yml"} {
		for _, f := range workflowFaults(read(t, dir+file), makefile) {
			t.Errorf("%s: %s", file, f)
		}
	}
	text := read(t, dir+"ci.yml")
	for planted, want := range map[string]string{
		strings.Replace(text, "checkout@v5.0.0", "checkout@main", 1):                 "actions/checkout@main is not pinned",
		strings.Replace(text, "contents: read", "contents: write", 1):                "more than read",
		strings.Replace(text, "persist-credentials: false", "fetch-tags: true", 1):   "leaves its token",
		strings.Replace(text, "[check, deploy-check", "[check, deploy-chek", 1):      "make has no deploy-chek",
		strings.Replace(text, "run: make vulncheck", "run: make vulnerabilities", 1): "make has no vulnerabilities",
	} {
		if found := strings.Join(workflowFaults(planted, makefile), "\n"); !strings.Contains(found, want) {
			t.Errorf("found %q, want %q", found, want)
		}
	}
	planted := filepath.Join(t.TempDir(), "planted.yml")
	if err := os.WriteFile(planted, []byte(strings.Replace(text, "runs-on: ubuntu-24.04", "run-on: ubuntu-24.04", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := actionlint(t, planted); !strings.Contains(out, "run-on") {
		t.Errorf("a misspelt key: %q", out)
	}
}

// The registry is stood in for by a docker that says what it is told to.
func TestDigests(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("ab", 32)
	const set = `evercache:local\nredis:8.0.6\n`
	for what, c := range map[string]struct{ images, says, want, fault string }{
		"a digest":    {set, "echo " + digest, "REDIS_IMAGE=redis:8.0.6@" + digest, ""},
		"no registry": {set, "exit 1", "", "is there a way out"},
		"something":   {set, "echo not found", "", "which is no digest"},
		"monitoring":  {"grafana/grafana:1\\nprom/alertmanager:1\\nprom/prometheus:1\\n", "echo " + digest, fmt.Sprintf("GRAFANA_IMAGE=grafana/grafana:1@%[1]s\nALERTMANAGER_IMAGE=prom/alertmanager:1@%[1]s\nPROMETHEUS_IMAGE=prom/prometheus:1@%[1]s", digest), ""},
	} {
		bin := t.TempDir()
		docker := "#!/bin/sh\ncase $* in\n*config*) printf '" + c.images + "' ;;\n*inspect*) " + c.says + " ;;\nesac\n"
		if err := os.WriteFile(filepath.Join(bin, "docker"), []byte(docker), 0o700); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
		out, err := shell(t, []string{"PATH=" + bin + ":" + os.Getenv("PATH")}, compose+"/digests")
		if out != c.want || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %q, %v", what, out, err)
		}
	}
}

func TestSetupKeepsWhatIsThereAndStampsTheVersion(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "compose")
	if err := os.CopyFS(dir, os.DirFS(compose)); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(dir, ".env")) // of this tree, if any
	setup := filepath.Join(dir, "setup.sh")
	if out, err := shell(t, nil, "sh", setup); err != nil {
		t.Fatalf("%s %v", out, err)
	}
	env := filepath.Join(dir, ".env")
	password := read(t, filepath.Join(dir, "secrets/redis-password"))
	if err := os.WriteFile(env, []byte(read(t, env)+"SUBNET=10.9.8\nIMAGE_VERSION=old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := shell(t, nil, "sh", setup); err != nil {
		t.Fatalf("%s %v", out, err)
	}
	text := read(t, env)
	if strings.Contains(text, "IMAGE_VERSION=old") || strings.Count(text, "\nIMAGE_VERSION=") != 1 || strings.Count(text, "\nIMAGE_REVISION=") != 1 || !strings.Contains(text, "SUBNET=10.9.8\n") {
		t.Errorf(".env:\n%s", text)
	}
	if again := read(t, filepath.Join(dir, "secrets/redis-password")); again != password {
		t.Error("the password is another one")
	}
}

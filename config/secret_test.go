package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// canary begins with no hexadecimal digit: behind an escape like \xcc it would
// be found where it is not.
const canary = "k4n4ryS3cretOfAll"

func TestNoSecretIsPrinted(t *testing.T) {
	secrets := []string{
		"REDIS_PASSWORD=" + canary, "REDIS_SENTINEL_PASSWORD=" + canary, "EVERCACHE_TOKEN=" + canary,
	}
	for _, more := range [][]string{
		nil,
		{sentinelOn, masterIs, three},
		{sentinelOn},
		{"EVERCACHE_LISTEN=:3000", "EVERCACHE_INSECURE=true"},
	} {
		cfg := accept(t, append(more, secrets...)...)
		if strings.Contains(printed(cfg), canary) {
			t.Errorf("%v: a secret is printed", more)
		}
		if cfg.Redis.Password.Reveal() != canary || cfg.Server.Tokens.All.Values[0].Reveal() != canary {
			t.Errorf("%v: a secret is lost", more)
		}
	}
	for _, env := range [][]string{
		{"REDIS_URL=redis://u:" + canary + "@h:6379/0"},
		{"REDIS_URL=redis://:" + canary + "@h"},
	} {
		if strings.Contains(printed(accept(t, env...)), canary) {
			t.Errorf("%v: the password is printed", env)
		}
	}
	for _, env := range [][]string{
		{"REDIS_URL=redis://u:" + canary + "#@h:6379/0"},
		{"REDIS_URL=redis://u:" + canary + "/x@h:6379/0"},
		{"REDIS_URL=redis://u:12/" + canary + "@h:6379/0"},
		{"REDIS_URL=redis://u:%zz" + canary + "@h:6379/0"},
		{"REDIS_URL=" + canary},
		{"REDIS_URL=unix://" + canary},
		{"REDIS_HOST=redis://u:" + canary + "@h"},
		{"REDIS_HOST=u:" + canary + "@h"},
		{"REDIS_SENTINELS=s1:26379,redis://u:a," + canary + "@s2:26379"},
		{"REDIS_CLUSTER_NODES=u:" + canary + "@n1:6379"},
		{"REDIS_ADDRESS_MAP=a:1=u:" + canary + "@b:2"},
		{"EVERCACHE_LISTEN=" + canary + "@:80"},
		{"EVERCACHE_TOKEN=" + canary + " " + canary + " x"},
		{"REDIS_PASSWORD_FILE=" + canary},
		{"REDIS_PASSWORD=" + canary, "REDIS_PASSWORD_FILE=/x"},
		{"REDIS_PASSWORD=" + canary, "REDIS_DB=" + canary},
		{"REDIS_PASSWORD=" + canary, "REDIS_TLS=true", "REDIS_TLS_CA_FILE=/etc/" + canary},
		{"EVERCACHE_TLS_CERT_FILE=-----BEGIN CERTIFICATE-----\n" + canary, "EVERCACHE_TLS_KEY_FILE=-----BEGIN PRIVATE KEY-----\n" + canary},
	} {
		if got := strings.Join(refuse(t, env...), "\n"); strings.Contains(got, canary) {
			t.Errorf("%v: a secret is printed:\n%s", env, got)
		}
	}
}

// printed is a configuration in every form that a log or an answer could give it.
func printed(cfg Config) string {
	asJSON, _ := json.Marshal(struct {
		Findings, Lines, Server, Policy any
	}{cfg.Redis.Findings, cfg.Redacted(), cfg.Server, cfg.Policy})
	return fmt.Sprintf("%v %+v %#v %s %q", cfg, cfg, cfg, asJSON, cfg.Redacted())
}

func TestSecretsFromFiles(t *testing.T) {
	f := memory{"/redis": "!pass word\r\n", "/sentinel": "!watch\n\n", "/token": "!the-token-of-a-file"}
	cfg := acceptWith(t, f, sentinelOn, masterIs, three,
		"REDIS_PASSWORD_FILE=/redis", "REDIS_USERNAME=u", "REDIS_SENTINEL_PASSWORD_FILE=/sentinel", "EVERCACHE_TOKEN_FILE=/token")
	if o := cfg.Redis; o.PasswordFile != "/redis" || o.Password != "" || o.SentinelPasswordFile != "/sentinel" || o.SentinelPassword != "" {
		t.Errorf("PasswordFile %q, SentinelPasswordFile %q: want the paths, and no copy of what is in them", o.PasswordFile, o.SentinelPasswordFile)
	}
	if got := cfg.Server.Tokens.All; len(got.Values) != 1 || got.Values[0] != "the-token-of-a-file" || got.File != "/token" {
		t.Errorf("%d tokens of %q", len(got.Values), got.File)
	}
	expectCodes(t, cfg)
	for _, want := range []Line{{"REDIS_PASSWORD", "***", "file"}, {"REDIS_PASSWORD_FILE", "/redis", "env"}, {"EVERCACHE_TOKEN", "***", "file"}} {
		if got := lineOf(t, cfg, want.Name); got != want {
			t.Errorf("line %v, want %v", got, want)
		}
	}
}

const tokenFix = "use 16 or more letters, digits and punctuation; while one token takes the place of another, write both with white space between"

func TestSecretFileFaults(t *testing.T) {
	f := memory{"/empty": "\r\n", "/large": strings.Repeat("x", maxValueBytes+1), "/spaced": "a b c"}
	const fix = "; give the path of a file that holds the secret and nothing else"
	expectLines(t, refuseWith(t, f, "REDIS_PASSWORD_FILE=/empty", "REDIS_SENTINEL_PASSWORD_FILE=/large", "EVERCACHE_TOKEN_FILE=/none"),
		`REDIS_PASSWORD_FILE: "/empty" is empty`+fix,
		`REDIS_SENTINEL_PASSWORD_FILE: "/large" is too large`+fix,
		`EVERCACHE_TOKEN_FILE: "/none" does not exist`+fix)
	expectLines(t, refuseWith(t, f, "REDIS_PASSWORD_FILE=hunter2", "EVERCACHE_TOKEN_FILE=/spaced"),
		"REDIS_PASSWORD_FILE: the file does not exist"+fix,
		"EVERCACHE_TOKEN_FILE: the token in the file is shorter than 16 bytes; "+tokenFix)
	expectLines(t, refuseWith(t, f, "REDIS_PASSWORD=x", "REDIS_PASSWORD_FILE=/spaced", "EVERCACHE_TOKEN=0123456789abcdef", "EVERCACHE_TOKEN_FILE=/spaced"),
		"REDIS_PASSWORD_FILE: REDIS_PASSWORD is set too; give one of them",
		"EVERCACHE_TOKEN_FILE: EVERCACHE_TOKEN is set too; give one of them")
}

func TestSecretFileThatEverybodyMayRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such mode there")
	}
	cfg := acceptWith(t, memory{"/a": "x", "/b": "!0123456789abcdef"}, "REDIS_PASSWORD_FILE=/a", "EVERCACHE_TOKEN_FILE=/b")
	f := find(t, cfg, "config-secret-file-mode")
	if want := "Everybody may read the file of REDIS_PASSWORD_FILE."; f.Detail != want {
		t.Errorf("Detail = %q, want %q", f.Detail, want)
	}
}

// An operator is told what was found and what to do, whatever it is.
func TestNoFindingIsLeftWithoutADetailOrAFix(t *testing.T) {
	seen := map[string]bool{}
	for _, env := range [][]string{
		{sentinelOn, "REDIS_SENTINELS=s1:26379", "REDIS_REPLICA_READS=true"},
		{"REDIS_SENTINELS=s1:26379"},
		{sentinelOn, masterIs, "REDIS_SENTINELS=a:6379,b:26379,c:26379,d:26379", "REDIS_HOST=h"},
		{"REDIS_PORT=26379", "REDIS_ADDRESS_MAP=a:1=b:1", "REDIS_TLS=false", "REDIS_TLS_SERVER_NAME=x"},
		{"EVERCACHE_LISTEN=:3000", "EVERCACHE_INSECURE=true", "REDIS_PASSWORD_FILE=/open", "REDIS_HSOT=x", "REDIS_SERVICE_HOST=10.0.0.1"},
	} {
		for _, f := range acceptWith(t, memory{"/open": "x"}, env...).Within(1 << 20).Redis.Findings {
			seen[f.Code] = true
			if f.Title == "" || f.Detail == "" || f.Fix == "" || f.Severity == "" {
				t.Errorf("%v: incomplete: %+v", env, f)
			}
		}
	}
	for _, k := range findingKinds {
		if !seen[k.code] && (k.code != secretReadable.code || runtime.GOOS != "windows") {
			t.Errorf("nothing makes %s here", k.code)
		}
	}
}

// Compose mounts every secret with 0444: that is no news to anybody.
func TestTheModeOfAMountedSecretIsTheEngines(t *testing.T) {
	cert, key := certificate(t)
	f := memory{
		"/run/secrets/redis": "x", "/var/run/secrets/token": "0123456789abcdef", "/run/secrets/tls/key": key, "/cert": cert,
		"/run/secrets/../password": "x", "/run/secrets-of-mine": "0123456789abcdef",
	}
	cfg := acceptWith(t, f, "REDIS_PASSWORD_FILE=/run/secrets/redis", "EVERCACHE_TOKEN_FILE=/var/run/secrets/token",
		"EVERCACHE_TLS_CERT_FILE=/cert", "EVERCACHE_TLS_KEY_FILE=/run/secrets/tls/key")
	expectCodes(t, cfg)
	if runtime.GOOS == "windows" {
		return
	}
	cfg = acceptWith(t, f, "REDIS_PASSWORD_FILE=/run/secrets/../password", "EVERCACHE_TOKEN_FILE=/run/secrets-of-mine")
	if got, want := find(t, cfg, "config-secret-file-mode").Detail, "Everybody may read the file of REDIS_PASSWORD_FILE, EVERCACHE_TOKEN_FILE."; got != want {
		t.Errorf("Detail = %q, want %q", got, want)
	}
}

func TestFilesOnDisk(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "password")
	if err := os.WriteFile(path, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := FromEnv([]string{"REDIS_PASSWORD_FILE=" + path})
	if err != nil || cfg.Redis.PasswordFile != path {
		t.Fatalf("FromEnv = %q, %v", cfg.Redis.PasswordFile, err)
	}
	if s, err := ReadSecret(path); err != nil || s.Reveal() != "secret" {
		t.Errorf("ReadSecret = %q, %v", s.Reveal(), err)
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, maxValueBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir:                        "is not a regular file",
		filepath.Join(dir, "none"): "does not exist",
		large:                      "is too large",
		dir + "/password/under":    "cannot be read (not a directory)",
		"nul\x00":                  "cannot be read (invalid argument)",
	} {
		if _, err := ReadSecret(path); err == nil || err.Error() != want {
			t.Errorf("ReadSecret(%q) = %v, want %q", path, err, want)
		}
	}
}

func TestRedactedSaysWhereEachValueCameFrom(t *testing.T) {
	cfg := accept(t, "REDIS_URL=rediss://u:p@h:6380/2", "EVERCACHE_TTL=2s", "EVERCACHE_TOKEN=0123456789abcdef")
	if n := len(cfg.Redacted()); n != len(settings) {
		t.Errorf("%d lines, want %d", n, len(settings))
	}
	for _, want := range []Line{
		{"REDIS_URL", "rediss://u:***@h:6380/2", "env"},
		{"REDIS_HOST", "h", "REDIS_URL"},
		{"REDIS_PORT", "6380", "REDIS_URL"},
		{"REDIS_USERNAME", "u", "REDIS_URL"},
		{"REDIS_PASSWORD", "***", "REDIS_URL"},
		{"REDIS_DB", "2", "REDIS_URL"},
		{"REDIS_TLS", "true", "REDIS_URL"},
		{"REDIS_KEY_PREFIX", "", "default"},
		{"EVERCACHE_TOKEN", "***", "env"},
		{"EVERCACHE_TTL", "2s", "env"},
		{"EVERCACHE_L1_TTL", "", "default"},
		{"EVERCACHE_MEMORY", "32MiB", "default"},
	} {
		if got := lineOf(t, cfg, want.Name); got != want {
			t.Errorf("line %v, want %v", got, want)
		}
	}
}

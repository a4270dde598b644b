package check

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// machine is a folder in place of /, and a copy of the tree's deploy in it.
func machine(t *testing.T) (top string) {
	t.Helper()
	top = t.TempDir()
	if err := os.CopyFS(filepath.Join(top, "deploy"), os.DirFS("..")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"etc/redis", "etc/systemd/system", "var/lib/redis"} {
		if err := os.MkdirAll(filepath.Join(top, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return top
}

// follow runs the blocks of a guide that can be run, in their order.
func follow(t *testing.T, document, top string) {
	t.Helper()
	ran := 0
	for _, b := range blocks(read(t, filepath.Join("../..", document))) {
		if b.by != "check" || !slices.Contains(runHere[document], b.name) {
			continue
		}
		text := strings.NewReplacer(" /etc/", " "+top+"/etc/", ">/etc/", ">"+top+"/etc/", ">>/etc/", ">>"+top+"/etc/").Replace(b.text)
		if out, err := shell(t, nil, "sh", "-euc", "cd "+top+"\n"+text); err != nil {
			t.Fatalf("%s: %s: %v\n%s", document, b.name, err, out)
		}
		ran++
	}
	if ran != len(runHere[document]) {
		t.Errorf("%s: %d blocks were run, want %d", document, ran, len(runHere[document]))
	}
}

func TestTheGuideToSystemd(t *testing.T) {
	const document = "docs/guide/systemd.md"
	top := machine(t)
	// The settings name the folders of a machine; here they are below another one.
	example := filepath.Join(top, "deploy/conf/settings.example")
	settings := strings.ReplaceAll(read(t, example), "=/etc/", "="+top+"/etc/")
	if err := os.WriteFile(example, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	follow(t, document, top)
	redis := read(t, filepath.Join(top, "etc/redis/redis.conf"))
	for _, want := range []string{"\nreplica-announce-ip redis-1\n", "\nreplicaof redis-1 6379\n", "\nmasterauth "} {
		if !strings.Contains(redis, want) {
			t.Errorf("redis.conf lacks %q:\n%s", want, redis)
		}
	}
	if sentinel := read(t, filepath.Join(top, "etc/redis/sentinel.conf")); !strings.Contains(sentinel, "\nsentinel monitor mymaster redis-1 6379 2\n") {
		t.Errorf("sentinel.conf:\n%s", sentinel)
	}
	word := read(t, filepath.Join(top, "etc/evercache/redis-password"))
	if acl := read(t, filepath.Join(top, "etc/redis/users.acl")); len(word) < 40 || !strings.Contains(acl, "user evercache on >"+word+" ") {
		t.Errorf("users.acl has another password than evercache")
	}
	if env := read(t, filepath.Join(top, "etc/evercache/evercache.env")); !strings.Contains(env, "REDIS_SENTINELS=redis-1:26379,redis-2:26379,redis-3:26379\n") {
		t.Errorf("evercache.env:\n%s", env)
	}
	for _, unit := range []string{"evercache.service", "evercache-backup.service", "evercache-backup.timer"} {
		if read(t, filepath.Join(top, "etc/systemd/system", unit)) != read(t, filepath.Join(units, unit)) {
			t.Errorf("%s is another one", unit)
		}
	}
}

func TestTheGuideToKubernetes(t *testing.T) {
	top := machine(t)
	follow(t, "docs/guide/kubernetes.md", top)
	for _, file := range []string{"dev/secrets/redis-password", "dev/secrets/metrics-token", "tls/tls/server.crt"} {
		if read(t, filepath.Join(top, "deploy/kubernetes/overlays", file)) == "" {
			t.Errorf("%s is empty", file)
		}
	}
	text := read(t, "../../docs/guide/kubernetes.md")
	overlays, err := os.ReadDir(filepath.Join(kubernetes, "overlays"))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range overlays {
		if !strings.Contains(text, "\n| `"+o.Name()+"` |") {
			t.Errorf("the guide lacks the overlay %s", o.Name())
		}
	}
}

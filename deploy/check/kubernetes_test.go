package check

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const kubernetes = "../kubernetes"

// The scripts and templates of a node live in deploy/compose/set. Kustomize reads only
// what is below its own folder, so it has copies.
func TestKubernetesHasTheScriptsOfCompose(t *testing.T) {
	used := map[string]bool{}
	for _, base := range []string{"redis", "cluster"} {
		dir := filepath.Join(kubernetes, "base", base)
		for _, f := range differing(t, dir, used) {
			t.Errorf("%s: %s: run deploy/kubernetes/sync.sh", base, f)
		}
		planted := t.TempDir()
		if err := os.CopyFS(planted, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		replace(t, "redis.conf.tmpl", "appendonly yes", "appendonly no")(filepath.Join(planted, "set"))
		replace(t, "kustomization.yaml", "      - set/cli.sh\n", "")(planted)
		if found := differing(t, planted, map[string]bool{}); !slices.Equal(found, []string{"redis.conf.tmpl is another one", "the ConfigMap lacks cli.sh"}) {
			t.Errorf("found %q", found)
		}
	}
	files, err := os.ReadDir(filepath.Join(compose, "set"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !used[f.Name()] {
			t.Errorf("Kubernetes has no use for %s", f.Name())
		}
	}
}

// differing lists the files that a base has in another form, or has not.
func differing(t *testing.T, base string, used map[string]bool) (all []string) {
	t.Helper()
	listed := read(t, filepath.Join(base, "kustomization.yaml"))
	for _, m := range regexp.MustCompile(`- set/(\S+)`).FindAllStringSubmatch(listed, -1) {
		used[m[1]] = true
		original := filepath.Join(compose, "set", m[1])
		if m[1] == "pod.sh" {
			original = filepath.Join(kubernetes, "pod", m[1])
		}
		have, err := os.ReadFile(filepath.Join(base, "set", m[1]))
		if err != nil {
			all = append(all, err.Error())
		} else if string(have) != read(t, original) {
			all = append(all, m[1]+" is another one")
		}
	}
	files, err := os.ReadDir(filepath.Join(base, "set"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		if !strings.Contains(listed, "- set/"+f.Name()+"\n") {
			all = append(all, "the ConfigMap lacks "+f.Name())
		}
	}
	return all
}

// A node of a Cluster has the users of a set, without the sentinels, and with what
// evercache asks of a Cluster.
func TestAClusterHasTheUsersOfASet(t *testing.T) {
	set, cluster := settingsOf(read(t, filepath.Join(compose, "set/redis-users.acl.tmpl"))), settingsOf(read(t, filepath.Join(compose, "set/cluster-users.acl.tmpl")))
	more := map[string]string{"evercache": " +cluster|nodes +cluster|info +cluster|myid +asking", "backup": " +readonly +cluster|nodes +cluster|info +cluster|myid"}
	var want []string
	for _, user := range set {
		name := strings.Fields(user)[1]
		if name != "sentinel" {
			want = append(want, user+more[name])
		}
	}
	if !slices.Equal(want, cluster) {
		t.Errorf("a Cluster has\n%s\nwant\n%s", strings.Join(cluster, "\n"), strings.Join(want, "\n"))
	}
}

// What .env is for Compose is a ConfigMap in Kubernetes. FAILOVER_TIMEOUT_MS and where
// the nodes are stand in the scripts there.
func TestKubernetesHasTheSettingsOfCompose(t *testing.T) {
	text := read(t, filepath.Join(kubernetes, "base/redis/kustomization.yaml"))
	_, text, _ = strings.Cut(text, "name: redis-settings")
	for _, m := range substitution.FindAllStringSubmatch(read(t, filepath.Join(compose, "compose.yml")), -1) {
		name, value := m[1], m[2]
		if !slices.Contains([]string{"MASTER_NAME", "KEY_PREFIX", "MAXMEMORY", "DOWN_AFTER_MS"}, name) {
			continue
		}
		if !strings.Contains(text, "      - "+name+"="+value+"\n") {
			t.Errorf("%s is %q for Compose, not for Kubernetes", name, value)
		}
	}
	for name, value := range map[string]string{"FAILOVER_TIMEOUT_MS": ":=15000"} {
		if !strings.Contains(read(t, filepath.Join(compose, "set/common.sh")), name+value) || !strings.Contains(text, "- "+name+"="+value[2:]+"\n") {
			t.Errorf("%s is not the same for both", name)
		}
	}
	image := "redis:8.0.6"
	for _, file := range []string{"../compose/compose.yml", kubernetes + "/base/redis/redis.yaml", kubernetes + "/base/redis/sentinel.yaml", kubernetes + "/base/cluster/redis.yaml", kubernetes + "/base/cluster/form.yaml", kubernetes + "/base/backup/backup.yaml"} {
		if !strings.Contains(read(t, file), image) {
			t.Errorf("%s does not have the image %s", file, image)
		}
	}
}

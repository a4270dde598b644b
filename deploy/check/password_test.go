package check

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A sentinel keeps its file, and with it the passwords by which it logs in. After a restart
// with other secrets it has to use these, or it takes the master for down and no failover
// is possible.
func TestASetThatIsStartedWithOtherPasswordsFailsOver(t *testing.T) {
	t.Parallel()
	s := newSet(t, nil)
	s.start()
	s.awaitMaster(nil)
	for _, n := range s.nodes() {
		n.kill()
	}
	for _, name := range []string{"monitor", "peer", "replica"} {
		s.secret(name, strings.Repeat(name, 4))
	}
	s.start()
	first := s.awaitMaster(nil)
	first.kill()
	s.awaitMaster(first)
}

// An empty word would let everybody in as admin.
func TestAnEmptyPasswordIsRefused(t *testing.T) {
	t.Parallel()
	s := newSet(t, nil)
	s.secret("admin", "\n")
	s.redis[0].start()
	s.redis[0].awaitLog("its first line is empty")
	if _, err := shell(t, nil, "sh", filepath.Join(compose, "setup.sh"), s.secrets); err == nil || !strings.Contains(err.Error(), "admin-password is empty") {
		t.Errorf("setup.sh: %v", err)
	}
}

func (s *set) secret(name, word string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.secrets, name+"-password"), []byte(word), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// Folders have spaces in their names, and the last line of a file may have no end.
func TestSetupInAFolderWithASpace(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "my app", "compose")
	if err := os.CopyFS(dir, os.DirFS(compose)); err != nil {
		t.Fatal(err)
	}
	env := filepath.Join(dir, ".env")
	if err := os.WriteFile(env, []byte("REDIS_IMAGE=valkey/valkey:9.1.2"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, script := range []string{"setup.sh", "certificates.sh"} {
		if out, err := shell(t, nil, "sh", filepath.Join(dir, script)); err != nil {
			t.Fatalf("%s: %s %v", script, out, err)
		}
	}
	text, err := os.ReadFile(env)
	if err != nil || !strings.Contains(string(text), "REDIS_IMAGE=valkey/valkey:9.1.2\nIMAGE_VERSION=") {
		t.Errorf(".env: %q, %v", text, err)
	}
	if info, err := os.Stat(env); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the mode of .env: %v, %v", info.Mode(), err)
	}
	for _, who := range []string{"", "redis-1", "sentinel-3", "evercache"} {
		if _, err := os.Stat(filepath.Join(dir, "certificates", who, "ca.crt")); err != nil {
			t.Error(err)
		}
	}
}

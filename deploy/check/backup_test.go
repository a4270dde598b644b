package check

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The CronJob and the timer: evercache backup as its own user, verify, a name, the end
// of old ones.
func TestABackupIsMadeByItsOwnUserAndKept(t *testing.T) {
	t.Parallel()
	s := newPods(t, nil)
	s.start()
	master := s.awaitMaster(nil)
	master.write("shop:demo:a", "1")
	master.must("WAIT", "2", "5000")
	dir := t.TempDir()
	for i := range 5 { // those of before
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("evercache-2026010%dT000000Z.backup", i+1)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var environ []string
	for name, value := range s.environment() {
		switch name {
		case "REDIS_USERNAME":
			value = "backup"
		case "REDIS_PASSWORD_FILE":
			value = filepath.Join(s.secrets, "backup-password")
		}
		if strings.HasPrefix(name, "REDIS_") {
			environ = append(environ, name+"="+value)
		}
	}
	incoming := filepath.Join(dir, "incoming.backup")
	if out, err := shell(t, environ, binary, "backup", "--gzip", "--overwrite", incoming); err != nil {
		t.Fatalf("backup: %v\n%s", err, out)
	}
	if out, err := shell(t, nil, binary, "verify", incoming); err != nil {
		t.Fatalf("verify: %v\n%s", err, out)
	}
	if out, err := shell(t, nil, "sh", filepath.Join(kubernetes, "base/backup/keep.sh"), dir, "3"); err != nil {
		t.Fatalf("keep.sh: %v\n%s", err, out)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 3 || !strings.HasSuffix(left[1], "evercache-20260105T000000Z.backup") || strings.HasSuffix(left[2], "incoming.backup") {
		t.Errorf("left are %q, %v", left, err)
	}
	if out, err := master.as("backup", "backup-password", "SET", "shop:demo:a", "2"); err == nil {
		t.Errorf("the user of backups may write: %s", out)
	}
}

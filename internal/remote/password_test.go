package remote

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAPasswordFileIsReadAtEveryDialAndBounded(t *testing.T) {
	tests := []struct {
		name string
		file string
		want string
		ok   bool
	}{
		{"as it is", "hunter2", "hunter2", true},
		{"without the line end", "hunter2\n", "hunter2", true},
		{"without a foreign line end", "hunter2\r\n", "hunter2", true},
		{"with its spaces", " hunter 2 \n", " hunter 2 ", true},
		{"empty", "", "", true},
		{"as long as it may be", strings.Repeat("x", maxPasswordFile), strings.Repeat("x", maxPasswordFile), true},
		{"longer", strings.Repeat("x", maxPasswordFile+1), "", false},
		{"much longer", strings.Repeat("x", 10*maxPasswordFile), "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{Password: "not this one", PasswordFile: filepath.Join(t.TempDir(), "password")}
			if err := os.WriteFile(c.PasswordFile, []byte(tt.file), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := c.password()
			if got != tt.want || (err == nil) != tt.ok {
				t.Errorf("%d bytes, error %v, want %d bytes, ok %v", len(got), err, len(tt.want), tt.ok)
			}
			if err != nil {
				wantKind(t, err, Auth)
			}
		})
	}
	_, err := Config{PasswordFile: filepath.Join(t.TempDir(), "none")}.password()
	wantKind(t, err, Auth)
	if got, err := (Config{Password: "plain"}).password(); got != "plain" || err != nil {
		t.Errorf("without a file: %q, %v", got, err)
	}
}

// A password file may name something that never ends.
func TestAPasswordFileThatNeverEndsIsRefused(t *testing.T) {
	c := Config{PasswordFile: "/dev/zero"}
	if _, err := os.Stat(c.PasswordFile); err != nil {
		c.PasswordFile = os.DevNull // an empty password, and nothing to show
	}
	got, err := c.password()
	if len(got) > maxPasswordFile {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestAServerThatRefusesUsAtOnceIsUnderstood(t *testing.T) {
	denied := "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. " +
		"In this mode connections are only accepted from the loopback interface.\r\n"
	tests := []struct {
		name, sent, want string
		kind             Kind
	}{
		{"max clients", "-ERR max number of clients reached\r\n", "ERR max number of clients reached", MaxClients},
		{"a long text is cut", denied, denied[1:128], Auth},
		{"half a line says nothing", "-ERR max number", "", UnknownReply},
		{"no error reply", "+OK\r\n", "", UnknownReply},
		{"another protocol", "HTTP/1.1 400 Bad Request\r\n", "", UnknownReply},
		{"nothing", "", "", UnknownReply},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			go func() {
				_, _ = theirs.Write([]byte(tt.sent))
				_ = theirs.Close()
			}()
			g := &greeting{Conn: ours}
			_, _ = io.Copy(io.Discard, g)
			if got := g.refusal(); got != tt.want || kindOfReply(got) != tt.kind {
				t.Errorf("refusal %q (%s), want %q (%s)", got, kindOfReply(got), tt.want, tt.kind)
			}
		})
	}
}

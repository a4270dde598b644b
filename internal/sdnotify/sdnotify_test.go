package sdnotify

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// systemd is the other side: a datagram socket that a test reads.
type systemd struct {
	t    *testing.T
	conn *net.UnixConn
}

func listen(t *testing.T, name string) *systemd {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &systemd{t, conn}
}

// hears returns the next message.
func (s *systemd) hears() string {
	s.t.Helper()
	if err := s.conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := s.conn.Read(b)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b[:n])
}

// socket is a short name: the folder of a test may be too long for an address.
func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "notify")
}

func dial(t *testing.T, s Settings) *Notifier {
	t.Helper()
	n, err := Dial(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
}

func TestSystemdIsTold(t *testing.T) {
	names := map[string]string{"a path": socket(t)}
	if runtime.GOOS == "linux" {
		names["an abstract name"] = "@evercache-test-" + filepath.Base(filepath.Dir(socket(t)))
	}
	for what, name := range names {
		t.Run(what, func(t *testing.T) {
			s := listen(t, name)
			n := dial(t, Settings{Socket: name})
			if err := n.Ready("listening on 127.0.0.1:3000\nMAINPID=1"); err != nil {
				t.Fatal(err)
			}
			if got, want := s.hears(), "READY=1\nSTATUS=listening on 127.0.0.1:3000 MAINPID=1"; got != want {
				t.Errorf("it heard %q, want %q", got, want)
			}
			if err := n.Stopping("draining"); err != nil {
				t.Fatal(err)
			}
			if got, want := s.hears(), "STOPPING=1\nSTATUS=draining"; got != want {
				t.Errorf("it heard %q, want %q", got, want)
			}
		})
	}
}

func TestTheWatchdogHearsOfAProcessThatLives(t *testing.T) {
	s := listen(t, socket(t))
	n := dial(t, Settings{Socket: s.conn.LocalAddr().String(), Watchdog: shortestWatchdog})
	ctx, cancel := context.WithCancel(t.Context())
	asked, answer := make(chan struct{}), make(chan struct{})
	done := make(chan struct{})
	go func() { // ends with ctx
		defer close(done)
		n.Watch(ctx, func() {
			select {
			case asked <- struct{}{}:
				<-answer
			case <-ctx.Done():
			}
		})
	}()
	for range 3 {
		<-asked
		answer <- struct{}{}
		if got := s.hears(); got != "WATCHDOG=1" {
			t.Errorf("it heard %q", got)
		}
	}
	<-asked // what hangs now sends nothing
	if err := s.conn.SetReadDeadline(time.Now().Add(3 * shortestWatchdog)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.conn.Read(make([]byte, 64)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a process that hangs was called alive: %v", err)
	}
	answer <- struct{}{}
	cancel()
	<-done
}

func TestWithoutSystemdNothingIsSaid(t *testing.T) {
	s, err := Read([]string{"PATH=/bin", "WATCHDOG_USEC=nonsense"}, 7)
	if err != nil || s != (Settings{}) {
		t.Errorf("Read = %+v, %v", s, err)
	}
	n, err := Dial(s)
	if err != nil || n != nil {
		t.Fatalf("Dial = %v, %v", n, err)
	}
	n.Watch(t.Context(), func() { t.Error("it was asked whether it lives") })
	if err := errors.Join(n.Ready("x"), n.Stopping("x"), n.Close()); err != nil {
		t.Error(err)
	}
}

func TestTheSettingsOfSystemdAreRead(t *testing.T) {
	for _, c := range []struct {
		what    string
		environ []string
		want    Settings
		fault   string
	}{
		{"a path", []string{"NOTIFY_SOCKET=/run/systemd/notify"}, Settings{Socket: "/run/systemd/notify"}, ""},
		{"an abstract name", []string{"NOTIFY_SOCKET=@sd"}, Settings{Socket: "@sd"}, ""},
		{"a watchdog", []string{"NOTIFY_SOCKET=/n", "WATCHDOG_USEC=30000000", "WATCHDOG_PID=7"}, Settings{"/n", 30 * time.Second}, ""},
		{"a watchdog for whoever it is", []string{"NOTIFY_SOCKET=/n", "WATCHDOG_USEC=30000000"}, Settings{"/n", 30 * time.Second}, ""},
		{"the watchdog of another process", []string{"NOTIFY_SOCKET=/n", "WATCHDOG_USEC=30000000", "WATCHDOG_PID=8"}, Settings{Socket: "/n"}, ""},
		{"a relative path", []string{"NOTIFY_SOCKET=notify"}, Settings{}, "neither a path nor"},
		{"a virtual machine's socket", []string{"NOTIFY_SOCKET=vsock:2:1"}, Settings{}, "neither a path nor"},
		{"no name", []string{"NOTIFY_SOCKET=@"}, Settings{}, "has no name"},
		{"a name that is too long", []string{"NOTIFY_SOCKET=/" + strings.Repeat("x", 107)}, Settings{}, "108 bytes"},
		{"a zero byte", []string{"NOTIFY_SOCKET=/a\x00b"}, Settings{}, "zero byte"},
		{"a period that is no number", []string{"NOTIFY_SOCKET=/n", "WATCHDOG_USEC=30s"}, Settings{Socket: "/n"}, "WATCHDOG_USEC is not a number"},
		{"a period that is too short", []string{"NOTIFY_SOCKET=/n", "WATCHDOG_USEC=1"}, Settings{Socket: "/n"}, "outside of"},
		{"a period without end", []string{"NOTIFY_SOCKET=/n", "WATCHDOG_USEC=9223372036854775807"}, Settings{Socket: "/n"}, "outside of"},
		{"a process that is no number", []string{"NOTIFY_SOCKET=/n", "WATCHDOG_USEC=30000000", "WATCHDOG_PID=me"}, Settings{Socket: "/n"}, "WATCHDOG_PID"},
	} {
		t.Run(c.what, func(t *testing.T) {
			got, err := Read(c.environ, 7)
			if got != c.want {
				t.Errorf("Read = %+v, want %+v", got, c.want)
			}
			if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
				t.Errorf("error %v, want %q", err, c.fault)
			}
		})
	}
}

func TestASocketThatIsNotThereIsAnError(t *testing.T) {
	n, err := Dial(Settings{Socket: socket(t)})
	if err == nil || n != nil || !strings.Contains(err.Error(), "NOTIFY_SOCKET") {
		t.Errorf("Dial = %v, %v", n, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("/run/systemd/notify", "30000000", "7")
	f.Add("@x", "-1", "")
	f.Add("", "99999999999999999999", "x")
	f.Fuzz(func(t *testing.T, socket, usec, pid string) {
		s, err := Read([]string{"NOTIFY_SOCKET=" + socket, "WATCHDOG_USEC=" + usec, "WATCHDOG_PID=" + pid}, 7)
		if s.Watchdog < 0 || s.Watchdog > longestWatchdog || s.Watchdog != 0 && s.Watchdog < shortestWatchdog || len(s.Socket) > longestPath {
			t.Errorf("Read = %+v", s)
		}
		if err != nil && len(socket) > 8 && strings.Contains(err.Error(), socket) {
			t.Errorf("the error repeats what it was given: %v", err)
		}
	})
}

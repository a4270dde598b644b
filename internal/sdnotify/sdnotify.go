// Package sdnotify tells systemd how the process is: ready, alive, ending. It speaks
// the protocol of sd_notify(3): one datagram of NAME=value lines to the socket that
// NOTIFY_SOCKET names.
package sdnotify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

const (
	// longestPath is what fits into the address of a Unix socket.
	longestPath = 107
	// shortestWatchdog bounds how often the process has to say that it lives.
	shortestWatchdog = 100 * time.Millisecond
	longestWatchdog  = 24 * time.Hour
	// sending is how long one message may take: systemd may not be reading.
	sending = time.Second
)

// Settings are what systemd has said in the environment.
type Settings struct {
	Socket   string        // "": nobody wants to be told
	Watchdog time.Duration // how long the process may be silent; 0: for ever
}

// Read takes the settings from an environment. pid is that of this process: a
// watchdog that is meant for another one is none of ours.
func Read(environ []string, pid int) (Settings, error) {
	var s Settings
	env := map[string]string{}
	for _, e := range environ {
		if name, value, ok := strings.Cut(e, "="); ok {
			env[name] = value
		}
	}
	if s.Socket = env["NOTIFY_SOCKET"]; s.Socket == "" {
		return Settings{}, nil
	}
	if err := checkSocket(s.Socket); err != nil {
		return Settings{}, err
	}
	watchdog, err := readWatchdog(env["WATCHDOG_USEC"], env["WATCHDOG_PID"], pid)
	s.Watchdog = watchdog
	return s, err
}

func checkSocket(socket string) error {
	const remedy = "systemd sets it for Type=notify; unset it elsewhere"
	switch {
	case socket[0] != '/' && socket[0] != '@':
		return fmt.Errorf("NOTIFY_SOCKET is neither a path nor @ and a name: %s", remedy)
	case len(socket) == 1:
		return fmt.Errorf("NOTIFY_SOCKET has no name: %s", remedy)
	case len(socket) > longestPath:
		return fmt.Errorf("NOTIFY_SOCKET has %d bytes, at most %d are possible: %s", len(socket), longestPath, remedy)
	case strings.ContainsRune(socket, 0):
		return fmt.Errorf("NOTIFY_SOCKET has a zero byte: %s", remedy)
	}
	return nil
}

func readWatchdog(usec, forPID string, pid int) (time.Duration, error) {
	const remedy = "systemd sets it for WatchdogSec=; unset it elsewhere"
	if usec == "" {
		return 0, nil
	}
	if forPID != "" {
		other, err := strconv.Atoi(forPID)
		if err != nil || other <= 0 {
			return 0, errors.New("WATCHDOG_PID is not the number of a process: " + remedy)
		}
		if other != pid {
			return 0, nil
		}
	}
	n, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || n <= 0 {
		return 0, errors.New("WATCHDOG_USEC is not a number of microseconds: " + remedy)
	}
	if n < shortestWatchdog.Microseconds() || n > longestWatchdog.Microseconds() {
		return 0, fmt.Errorf("WATCHDOG_USEC is outside of %v to %v: set WatchdogSec= within it", shortestWatchdog, longestWatchdog)
	}
	return time.Duration(n) * time.Microsecond, nil
}

// Notifier sends messages to systemd. A nil Notifier has nobody to tell.
type Notifier struct {
	conn     *net.UnixConn
	watchdog time.Duration
}

// Dial connects to the socket; the Notifier is nil where there is none.
func Dial(s Settings) (*Notifier, error) {
	if s.Socket == "" {
		return nil, nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.Socket, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	return &Notifier{conn: conn, watchdog: s.Watchdog}, nil
}

// Ready says that the process serves, and a word about it for systemctl status.
func (n *Notifier) Ready(status string) error { return n.send("READY=1\nSTATUS=" + oneLine(status)) }

// Stopping says that the process ends by itself.
func (n *Notifier) Stopping(status string) error {
	return n.send("STOPPING=1\nSTATUS=" + oneLine(status))
}

// Watch waits until ctx ends. Meanwhile it says twice in each period of the watchdog, if
// there is one, that the process lives. alive returns when what must not hang does not hang: where it never returns,
// systemd is told nothing and ends the process.
func (n *Notifier) Watch(ctx context.Context, alive func()) {
	if n == nil {
		return
	}
	if n.watchdog == 0 {
		<-ctx.Done()
		return
	}
	ticks := time.NewTicker(n.watchdog / 2)
	defer ticks.Stop()
	for {
		alive()
		_ = n.send("WATCHDOG=1") // the next one may get through; systemd judges
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

// Close ends the connection.
func (n *Notifier) Close() error {
	if n == nil {
		return nil
	}
	return n.conn.Close()
}

func (n *Notifier) send(message string) error {
	if n == nil {
		return nil
	}
	if err := n.conn.SetWriteDeadline(time.Now().Add(sending)); err != nil {
		return fmt.Errorf("tell systemd: %w", err)
	}
	if _, err := n.conn.Write([]byte(message)); err != nil {
		return fmt.Errorf("tell systemd: %w", err)
	}
	return nil
}

// oneLine keeps a text from being read as another line of the message.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}

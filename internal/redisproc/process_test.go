//go:build unix

package redisproc

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/faultnet/loopback"
)

func TestServerAnswersWhenStartReturns(t *testing.T) {
	p := start(t, Options{})
	ask(t, p, "SET", "k", "v")
	if got := ask(t, p, "GET", "k"); got != "v" {
		t.Errorf("GET = %v, want v", got)
	}
	if p.Pid() == 0 || !p.Running() {
		t.Errorf("Pid = %d, Running = %v", p.Pid(), p.Running())
	}
	if !strings.Contains(p.Log(), "Ready to accept connections") {
		t.Errorf("Log = %q", p.Log())
	}
}

func TestDoReportsErrorReplies(t *testing.T) {
	p := start(t, Options{})
	_, err := p.Do(t.Context(), "NOSUCH", "secret argument")
	if e, ok := errors.AsType[ReplyError](err); !ok || e.Code() != "ERR" {
		t.Errorf("Do = %v, want an ERR reply", err)
	}
	replies, err := p.Pipeline(t.Context(), []string{"SET", "k", "v"}, []string{"LPUSH", "k", "x"}, []string{"GET", "k"})
	must(t, err)
	if e, ok := replies[1].(ReplyError); !ok || e.Code() != "WRONGTYPE" || replies[2] != "v" {
		t.Errorf("Pipeline = %v", replies)
	}
	if _, err := p.Do(t.Context()); err == nil {
		t.Error("Do without a command = nil, want an error")
	}
}

func TestPasswordIsAskedForAndNotShown(t *testing.T) {
	const password = `se "cret" \ #é`
	p := start(t, Options{Password: password})
	if got := ask(t, p, "PING"); got != "PONG" {
		t.Errorf("PING = %v", got)
	}
	stranger := &Process{options: Options{}, port: p.port}
	if _, err := stranger.Do(t.Context(), "PING"); err == nil || !strings.Contains(err.Error(), "NOAUTH") {
		t.Errorf("PING without the password = %v, want NOAUTH", err)
	}
	cmdline, err := os.ReadFile(filepath.Join("/proc", itoa(p.Pid()), "cmdline"))
	must(t, err)
	if strings.Contains(string(cmdline), "cret") {
		t.Errorf("the command line holds the password: %q", cmdline)
	}
	info, err := os.Stat(p.confPath())
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("configuration file has mode %v, want 0600", info.Mode())
	}
}

func TestACLUserMayDoWhatItsRulesSay(t *testing.T) {
	p := start(t, Options{
		Password: "admin",
		Users:    []User{{Name: "app", Password: "app pass", Rules: []string{"~app:*", "+get", "+set"}}},
	})
	app := &Process{options: Options{AdminUser: "app", AdminPassword: "app pass"}, port: p.port}
	ask(t, app, "SET", "app:k", "v")
	for _, refused := range [][]string{{"SET", "other", "v"}, {"DEL", "app:k"}} {
		_, err := app.Do(t.Context(), refused...)
		if e, ok := errors.AsType[ReplyError](err); !ok || e.Code() != "NOPERM" {
			t.Errorf("%v = %v, want NOPERM", refused, err)
		}
	}
}

func TestAdministratorInsteadOfTheDefaultUser(t *testing.T) {
	p := start(t, Options{
		Users:     []User{{Name: "root", Password: "pw", Rules: []string{"~*", "&*", "+@all"}}},
		Config:    []string{"user default off"},
		AdminUser: "root", AdminPassword: "pw",
	})
	if got := ask(t, p, "ACL", "WHOAMI"); got != "root" {
		t.Errorf("WHOAMI = %v, want root", got)
	}
}

func TestStartErrorTellsTheLogButNoPassword(t *testing.T) {
	needRedis(t)
	_, err := Start(t.Context(), Options{Password: "hush hush", Config: []string{`requirepass "hush hush" twice`}})
	e, ok := errors.AsType[*StartError](err)
	if !ok {
		t.Fatalf("Start = %v, want a StartError", err)
	}
	if !errors.Is(err, errExited) || !strings.Contains(e.Log, "requirepass") {
		t.Errorf("StartError = %v", e)
	}
	if strings.Contains(err.Error(), "hush") {
		t.Errorf("the error shows the password: %v", err)
	}
}

func TestStartErrorRemovesTheDirectory(t *testing.T) {
	needRedis(t)
	t.Setenv("TMPDIR", t.TempDir())
	if _, err := Start(t.Context(), Options{Config: []string{"no-such-directive x"}}); err == nil {
		t.Fatal("Start = nil")
	}
	left, err := os.ReadDir(os.TempDir())
	must(t, err)
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	needRedis(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	cancel(stop)
	if _, err := Start(ctx, Options{}); !errors.Is(err, stop) {
		t.Errorf("Start = %v, want %v", err, stop)
	}
}

func TestStartTakesAnotherPortWhenItsOwnIsTaken(t *testing.T) {
	needRedis(t)
	other := start(t, Options{}) // answers PING, so only its identity gives it away
	tries := 0
	p := start(t, Options{reserve: func() (port, error) {
		tries++
		if tries == 1 {
			return takenPort{other.port}, nil
		}
		return loopback.Reserve()
	}})
	if tries != 2 || p.Addr() == other.Addr() {
		t.Errorf("%d tries, on %s, want 2 and not %s", tries, p.Addr(), other.Addr())
	}
	ask(t, p, "SET", "k", "v")
	if got := ask(t, other, "GET", "k"); got != nil {
		t.Error("the two are one")
	}
}

// takenPort belongs to somebody else, who releases it.
type takenPort struct{ port }

func (takenPort) Release() error { return nil }

func TestKillAndStartOnTheSamePort(t *testing.T) {
	p := start(t, Options{})
	addr, pid := p.Addr(), p.Pid()
	done := p.Done()
	must(t, p.Kill())
	must(t, p.Kill()) // nothing left to do
	select {
	case <-done:
	default:
		t.Error("Done is open after Kill")
	}
	if p.Running() || p.Pid() != 0 {
		t.Error("running after Kill")
	}
	if _, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
		t.Error("connected to a killed server")
	}
	must(t, p.Start(t.Context()))
	if p.Addr() != addr || p.Pid() == pid {
		t.Errorf("started as %s pid %d, was %s pid %d", p.Addr(), p.Pid(), addr, pid)
	}
	if err := p.Start(t.Context()); err == nil {
		t.Error("Start of a running process = nil, want an error")
	}
}

func TestRestartKeepsOrEmptiesTheData(t *testing.T) {
	aof := []string{"appendonly yes", "appendfsync no"}
	tests := []struct {
		name   string
		config []string
		end    func(*Process) error // before the restart
		data   Data
		want   any
	}{
		{"living server is told to save", nil, nil, KeepData, "v"},
		{"living server with AOF", aof, nil, KeepData, "v"},
		{"killed server with AOF", aof, (*Process).Kill, KeepData, "v"},
		{"hung server with AOF", aof, (*Process).Pause, KeepData, "v"},
		{"stopped server with AOF", aof, stopGracefully, KeepData, "v"},
		{"living server emptied", nil, nil, Empty, nil},
		{"killed server with AOF emptied", aof, (*Process).Kill, Empty, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, Options{Config: tt.config})
			ask(t, p, "SET", "k", "v")
			if tt.end != nil {
				must(t, tt.end(p))
			}
			must(t, p.Restart(t.Context(), tt.data))
			if got := ask(t, p, "GET", "k"); got != tt.want {
				t.Errorf("GET after the restart = %v, want %v", got, tt.want)
			}
		})
	}
}

func stopGracefully(p *Process) error { return p.Stop(context.Background()) }

func TestKillKeepsAnOlderSave(t *testing.T) {
	p := start(t, Options{})
	ask(t, p, "SET", "k", "old")
	ask(t, p, "SAVE")
	ask(t, p, "SET", "k", "new")
	must(t, p.Kill())
	must(t, p.Restart(t.Context(), KeepData))
	if got := ask(t, p, "GET", "k"); got != "old" {
		t.Errorf("GET = %v, want what was saved", got)
	}
}

func TestRestartRefusesToKeepWhatWasNeverSaved(t *testing.T) {
	p := start(t, Options{})
	ask(t, p, "SET", "k", "v")
	must(t, p.Kill())
	if err := p.Restart(t.Context(), KeepData); !errors.Is(err, ErrNothingToKeep) {
		t.Errorf("Restart(KeepData) = %v, want %v", err, ErrNothingToKeep)
	}
	must(t, p.Restart(t.Context(), Empty))
}

func TestPauseHangsAndResumeGoesOn(t *testing.T) {
	p := start(t, Options{})
	must(t, p.Pause())
	if halted, err := stopped(p.Pid()); !halted || err != nil {
		t.Errorf("stopped = %v, %v", halted, err)
	}
	answered := make(chan error, 1)
	go func() {
		_, err := p.Do(t.Context(), "SET", "k", "v")
		answered <- err
	}()
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := p.Do(short, "PING"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("PING of a paused server = %v, want %v", err, context.DeadlineExceeded)
	}
	must(t, p.Resume())
	if err := <-answered; err != nil {
		t.Errorf("the command sent during the pause = %v", err)
	}
	must(t, p.Resume()) // not paused: nothing happens
}

func TestStopEndsAPausedServer(t *testing.T) {
	p := start(t, Options{})
	must(t, p.Pause())
	must(t, p.Stop(t.Context()))
	if p.Running() {
		t.Error("running after Stop")
	}
	must(t, p.Stop(t.Context())) // nothing left to do
	if err := p.Pause(); !errors.Is(err, errNotRunning) {
		t.Errorf("Pause = %v, want %v", err, errNotRunning)
	}
	if err := p.Resume(); !errors.Is(err, errNotRunning) {
		t.Errorf("Resume = %v, want %v", err, errNotRunning)
	}
}

func TestStopKillsWhatDoesNotEnd(t *testing.T) {
	p := start(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Stop(ctx); err != nil && p.Running() { // it may be quicker than the context
		t.Errorf("running after Stop = %v", err)
	}
	if p.Running() {
		t.Error("running after Stop")
	}
}

func TestCloseRemovesEverything(t *testing.T) {
	needRedis(t)
	p, err := Start(t.Context(), Options{})
	must(t, err)
	pid, dir := p.Pid(), p.Dir()
	must(t, p.Close())
	must(t, p.Close())
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory: %v", err)
	}
	if alive(pid) {
		t.Errorf("pid %d is alive", pid)
	}
	if err := p.Start(t.Context()); err == nil {
		t.Error("Start after Close = nil")
	}
	if err := p.Restart(t.Context(), Empty); err == nil {
		t.Error("Restart after Close = nil")
	}
}

func TestFullServerCountsAsReady(t *testing.T) {
	p := start(t, Options{Config: []string{"maxclients 1"}})
	c, err := net.Dial("tcp", p.Addr())
	must(t, err)
	defer func() { _ = c.Close() }()
	eventually(t, "the only place taken", func() bool {
		_, err := p.Do(t.Context(), "PING")
		return full(err)
	})
	eventually(t, "the full server counted as ready", func() bool { return p.answers(t.Context()) == nil })
}

func TestReplicaFollowsWithPassword(t *testing.T) {
	master := start(t, Options{Password: "pw"})
	ask(t, master, "SET", "k", "v")
	replica := start(t, Options{Password: "pw", ReplicaOf: master.Addr()})
	eventually(t, "the key at the replica", func() bool { return ask(t, replica, "GET", "k") == "v" })
}

func TestSentinelKeepsOrForgetsWhatItLearned(t *testing.T) {
	master := start(t, Options{})
	host, port, err := net.SplitHostPort(master.Addr())
	must(t, err)
	p := start(t, Options{Kind: Sentinel, Password: "pw"})
	ask(t, p, "SENTINEL", "MONITOR", "shop", host, port, "1")
	must(t, p.Restart(t.Context(), KeepData))
	if got := ask(t, p, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "shop"); got == nil {
		t.Error("the restarted sentinel has forgotten its master")
	}
	must(t, p.Restart(t.Context(), Empty))
	if got := ask(t, p, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "shop"); got != nil {
		t.Errorf("the emptied sentinel still knows %v", got)
	}
}

func TestAProcessLivesWhereItsPlaceSays(t *testing.T) {
	port, err := reservePort()
	must(t, err)
	must(t, port.Release())
	var pids []int
	place := Place{Dir: filepath.Join(t.TempDir(), "redis-1"), Port: port.Number(), Spawned: func(pid int) { pids = append(pids, pid) }}
	p := start(t, Options{Place: place})
	if p.Port() != port.Number() || p.Dir() != place.Dir {
		t.Errorf("it is at port %d in %s, want port %d in %s", p.Port(), p.Dir(), place.Port, place.Dir)
	}
	must(t, p.Kill())
	must(t, p.Start(t.Context()))
	if len(pids) != 2 || pids[0] == pids[1] || pids[1] != p.Pid() {
		t.Errorf("told of the processes %v, the last one is %d", pids, p.Pid())
	}

	if _, err := Start(t.Context(), Options{Place: Place{Port: place.Port}}); !errors.Is(err, ErrPort) || !strings.Contains(err.Error(), itoa(place.Port)) {
		t.Errorf("a second process on its port: %v", err)
	}
	if _, err := Start(t.Context(), Options{Place: Place{Dir: place.Dir}}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a second process in its directory: %v", err)
	}
	must(t, p.Close())
	if _, err := os.Stat(p.logPath()); err != nil {
		t.Errorf("Close has removed what is not its own: %v", err)
	}
}

func TestAPausedProcessIsKnownAsSuch(t *testing.T) {
	p := start(t, Options{})
	if p.Paused() {
		t.Error("paused at the start")
	}
	must(t, p.Pause())
	if !p.Paused() {
		t.Error("not paused after Pause")
	}
	must(t, p.Kill())
	if p.Paused() {
		t.Error("paused although there is no process")
	}
}

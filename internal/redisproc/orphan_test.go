//go:build unix

package redisproc

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"
)

// orphanEnv makes the test binary a program that starts a server and then waits to be killed.
const orphanEnv = "REDISPROC_START_AND_HANG"

func TestMain(m *testing.M) {
	if os.Getenv(orphanEnv) != "" {
		startAndHang()
	}
	os.Exit(m.Run())
}

func startAndHang() {
	p, err := Start(context.Background(), Options{})
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Println(p.Pid())
	fmt.Println(p.Dir())
	select {}
}

func TestServerDoesNotOutliveAKilledProgram(t *testing.T) {
	needRedis(t)
	if runtime.GOOS != "linux" {
		t.Skip("no parent-death signal on " + runtime.GOOS)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), orphanEnv+"=1")
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewScanner(out)
	lines.Scan()
	pid, err := strconv.Atoi(lines.Text())
	if err != nil {
		t.Fatalf("the program said %q", lines.Text())
	}
	lines.Scan()
	dir := lines.Text()
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if !alive(pid) {
		t.Fatal("the server is not there")
	}

	must(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	eventually(t, "the server gone", func() bool { return !alive(pid) })
}

// The kernel sends the parent-death signal when the thread that forked ends. A goroutine that ends
// while locked takes its thread along.
func TestServerOutlivesTheThreadThatAskedForIt(t *testing.T) {
	needRedis(t)
	started := make(chan *Process)
	go func() {
		runtime.LockOSThread() // and never unlocked
		p, err := Start(context.Background(), Options{})
		if err != nil {
			t.Error(err)
		}
		started <- p
	}()
	p := <-started
	if p == nil {
		return
	}
	closeLater(t, p)
	for range 20 { // give threads the occasion to come and go
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread()
		}()
		<-done
		ask(t, p, "PING")
	}
}

// alive is false for a zombie too: it has ended, and waits for init to take notice.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	var comm, state string
	if _, err := fmt.Sscanf(string(stat), "%d %s %s", new(int), &comm, &state); err != nil {
		return true
	}
	return state != "Z"
}

func itoa(n int) string { return strconv.Itoa(n) }

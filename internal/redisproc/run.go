package redisproc

import (
	"os/exec"
	"runtime"
)

// run is one life of a process, from exec to exit.
type run struct {
	pid    int
	exited chan struct{} // closed when the process has ended and been reaped
}

// spawn starts cmd in a goroutine that belongs to the process and ends with it.
func spawn(cmd *exec.Cmd) (*run, error) {
	r := &run{exited: make(chan struct{})}
	started := make(chan error)
	go r.own(cmd, started)
	if err := <-started; err != nil {
		return nil, err
	}
	return r, nil
}

// own starts the process and reaps it on one OS thread that it keeps to itself. The kernel ties the
// parent-death signal to the thread that forked, not to the program: started from a goroutine that
// is not locked, the server would be killed whenever the runtime let that thread go, for instance
// because another goroutine ended while locked to it. Waiting here keeps the thread alive, asleep
// in the kernel, exactly as long as the process; and it ends with the program, however that ends.
func (r *run) own(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	r.pid = cmd.Process.Pid
	started <- nil
	_ = cmd.Wait() // how it ended is in the log; that it ended is what counts
	close(r.exited)
}

func (r *run) hasExited() bool {
	select {
	case <-r.exited:
		return true
	default:
		return false
	}
}

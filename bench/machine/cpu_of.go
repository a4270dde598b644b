package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// CPUTimeOf is what other processes have used so far, all their threads, or 0 where
// that cannot be told. A thread that ends takes its time with it.
func CPUTimeOf(pids ...int) (sum time.Duration) {
	for _, pid := range pids {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		for _, t := range tasks {
			sum += onCPU(t)
		}
	}
	return sum
}

// onCPU is the first number of a schedstat: nanoseconds on a processor.
func onCPU(file string) time.Duration {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0 // the thread has ended
	}
	first, _, _ := strings.Cut(string(text), " ")
	ns, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(ns)
}

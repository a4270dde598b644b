//go:build !unix

package main

import "time"

// cpuTime is what this process has used so far, or 0 where that cannot be told.
func cpuTime() time.Duration { return 0 }

//go:build !unix

package machine

import "time"

// CPUTime is what this process has used so far, or 0 where that cannot be told.
func CPUTime() time.Duration { return 0 }

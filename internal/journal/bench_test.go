package journal

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The fsync of the disk under TMPDIR dominates; the median is of single calls.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprint("writers=", writers), func(b *testing.B) {
			j, _ := open(b, filepath.Join(b.TempDir(), "j"), Options{})
			payload := strings.Repeat("x", 512)
			var mu sync.Mutex
			var took []time.Duration
			var wg sync.WaitGroup
			next := make(chan int)
			for w := range writers {
				wg.Go(func() {
					for range next {
						start := time.Now()
						if _, err := j.Append(b.Context(), entry(fmt.Sprint("key", w), payload)); err != nil {
							b.Error(err)
						}
						mu.Lock()
						took = append(took, time.Since(start))
						mu.Unlock()
					}
				})
			}
			for b.Loop() {
				next <- 1
			}
			close(next)
			wg.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs/median")
		})
	}
}

package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// exponent is that of n in the cost: the slope of a line through the logarithms.
func exponent(sizes []int, costs []time.Duration) float64 {
	var x, y, xx, xy, n float64
	for i, size := range sizes {
		if costs[i] <= 0 {
			continue
		}
		lx, ly := math.Log(float64(size)), math.Log(float64(costs[i]))
		x, y, xx, xy, n = x+lx, y+ly, xx+lx*lx, xy+lx*ly, n+1
	}
	if d := n*xx - x*x; d != 0 {
		return (n*xy - x*y) / d
	}
	return math.NaN()
}

func rowOf(name string, sizes []int, costs []time.Duration, e float64) string {
	var b strings.Builder
	b.WriteString("| " + name)
	for i, n := range sizes {
		fmt.Fprintf(&b, " | %.3g", float64(costs[i])/float64(time.Microsecond)/float64(n))
	}
	fmt.Fprintf(&b, " | %.2f |\n", e)
	return b.String()
}

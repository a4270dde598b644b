package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache"
)

const (
	life   = 10 * time.Second
	step   = 100 * time.Millisecond
	watch  = 2*life + life/2
	bucket = int(watch / step)
)

var spreadPolicy = evercache.Policy{TTL: life, RefreshAhead: 0.8, MaxRefreshes: 512}

// showSpread fills keys at once, reads each some five times a second, and prints how many
// loads begin in each tenth of a second: without RefreshAhead, and with it.
func showSpread(out io.Writer, keys int, picture string) error {
	var curves []curve
	for _, c := range []curve{
		{name: "no refresh", policy: evercache.Policy{TTL: life}},
		{name: "RefreshAhead: 0.8", policy: spreadPolicy},
	} {
		if err := c.record(keys); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(out, "%s: in 100 ms at most %d of %d loads, once the keys were filled; %d callers waited for a load\n", c.name, c.peak(), keys, c.waited)
		curves = append(curves, c)
	}
	if picture == "" {
		return nil
	}
	return os.WriteFile(picture, []byte(draw(curves, keys)), 0o644)
}

// curve is how the loads of a class are spread over time.
type curve struct {
	name   string
	policy evercache.Policy
	loads  [bucket + 1]int
	waited int64
}

func (c *curve) record(keys int) error {
	client, err := evercache.Open(context.Background(), evercache.Options{MemoryOnly: true})
	if err != nil {
		return err
	}
	defer client.Close()
	rows, err := evercache.NewCache[string](client, "row", c.policy)
	if err != nil {
		return err
	}
	var loads [bucket + 1]atomic.Int64
	start := time.Now()
	loader := func(context.Context, string) (string, error) {
		loads[min(int(time.Since(start)/step), bucket)].Add(1)
		time.Sleep(latency)
		return "row", nil
	}
	var waited atomic.Int64
	const readers = 50 // each has a share of the keys, and takes 200 ms for them
	var wg sync.WaitGroup
	for reader := range readers {
		wg.Go(func() {
			for round := 0; time.Since(start) < watch; round++ {
				next := start.Add(time.Duration(round)*200*time.Millisecond + 200*time.Millisecond*time.Duration(reader)/readers)
				time.Sleep(time.Until(next))
				waited.Add(c.readShare(rows, loader, reader, readers, keys, round > 0))
			}
		})
	}
	wg.Wait()
	for i := range loads {
		c.loads[i] = int(loads[i].Load())
	}
	c.waited = waited.Load()
	return nil
}

// readShare reads a share of the keys, all at once, and counts the callers that waited.
func (c *curve) readShare(rows *evercache.Cache[string], loader evercache.Loader[string], reader, readers, keys int, counts bool) int64 {
	var waited atomic.Int64
	var wg sync.WaitGroup
	for key := reader; key < keys; key += readers {
		wg.Go(func() {
			e, err := rows.GetEntry(context.Background(), fmt.Sprint(key), loader)
			if counts && (err != nil || e.Source == evercache.SourceLoader) {
				waited.Add(1)
			}
		})
	}
	wg.Wait()
	return waited.Load()
}

// peak is the most loads of a tenth of a second after the keys were filled.
func (c *curve) peak() (most int) {
	for _, n := range c.loads[int(life/step)/2:] {
		most = max(most, n)
	}
	return most
}

// draw draws the curves as an SVG picture.
func draw(curves []curve, keys int) string {
	const width, height, left, top = 760, 240, 60, 30
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width+left+20, height+top+60)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/><text x="%d" y="18">loads that begin in 100 ms; %d keys are filled at 0 s and live for %v</text>`+"\n", left, keys, life)
	for i, color := range []string{"#c0392b", "#2471a3"} {
		c := curves[i]
		points := make([]string, 0, bucket)
		for at, n := range c.loads[:bucket] {
			points = append(points, fmt.Sprintf("%d,%d", left+at*width/bucket, top+height-n*height/keys))
		}
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="%s"/>`+"\n", color, strings.Join(points, " "))
		fmt.Fprintf(&b, `<text x="%d" y="%d" fill="%s">%s: at most %d after the filling</text>`+"\n", left+width/2+20, top+20+18*i, color, c.name, c.peak())
	}
	for s := 0; s <= int(watch/time.Second); s += 5 {
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%d s</text>`+"\n", left+s*width*int(time.Second/step)/bucket, top+height+20, s)
	}
	fmt.Fprintf(&b, `<path d="M%d %dV%dH%d" fill="none" stroke="black"/><text x="%d" y="%d" text-anchor="end">%d</text><text x="%d" y="%d" text-anchor="end">0</text>`+"\n</svg>\n",
		left, top, top+height, left+width, left-6, top+5, keys, left-6, top+height+5)
	return b.String()
}

package cluster_test

import (
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
)

func TestZZ(t *testing.T) {
	scene(t, func(t *testing.T, c *redistest.Cluster) {
		d := begin(t, c, 2, crowd(hundred, elsewhat))
		from, to := c.Nodes()[0], c.Nodes()[1]
		b := time.Now()
		d.during(func() { c.Reshard(from, to, hundred) })
		t.Log(time.Since(b))
		d.end()
		t.Log(time.Since(b))
	}, steady)
}

func TestZY(t *testing.T) {
	c := redistest.StartCluster(t)
	from, to := c.Nodes()[0], c.Nodes()[1]
	b := time.Now()
	c.Reshard(from, to, hundred)
	t.Log(time.Since(b))
}

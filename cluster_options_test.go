package evercache

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/evercache/evercache/health"
)

func TestWrongOptionsOfAClusterAreRefusedAtOnce(t *testing.T) {
	o := Options{
		ClusterNodes: []string{"a:6379", "b", ":1", "a:6379"}, DB: 2, AddressMap: map[string]string{"10.0.0.1:6379": "nowhere"},
		Username: "u", RequestedMode: new(health.ModeCluster),
	}
	for i := range maxSeeds {
		o.ClusterNodes = append(o.ClusterNodes, fmt.Sprintf("n%d:6379", i))
	}
	c, err := Open(t.Context(), o)
	if err == nil {
		_ = c.Close()
		t.Fatal("they are taken")
	}
	for _, want := range []string{
		`ClusterNodes: "b" is not host:port`, `ClusterNodes: ":1" has no host`, `ClusterNodes: "a:6379" is given twice`,
		"ClusterNodes: 68 given, at most 64", "DB 2: a Cluster has only database 0", `AddressMap: "nowhere"`, "Username without",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "Addr:") {
		t.Errorf("the address of a single server is spoken of: %v", err)
	}
}

// TestOptionsOfAClusterReachTheShards: what is given for a Cluster is handed on, and no
// server at the default address is.
func TestOptionsOfAClusterReachTheShards(t *testing.T) {
	o := Options{ClusterNodes: []string{"a:6379", "b:6379"}, AddressMap: map[string]string{"10.0.0.1:6379": "a:7001"}, Username: "u", Password: "p"}
	if err := o.ambiguous(); err != nil {
		t.Fatal(err)
	}
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		t.Fatal(err)
	}
	c := o.shardConfig(nil, keyFiles{}, "p1")
	if c.Mode != health.ModeCluster || !slices.Equal(c.ClusterNodes, o.ClusterNodes) || c.Addr != "" || c.Username != "u" || len(c.AddressMap) != 1 {
		t.Errorf("mode %v, nodes %v, addr %q, user %q, map %v", c.Mode, c.ClusterNodes, c.Addr, c.Username, c.AddressMap)
	}
	if *o.RequestedMode != health.ModeCluster {
		t.Errorf("requested %v", *o.RequestedMode)
	}
}

package shard

import "testing"

// A delete of a prefix stays in the file until no shard holds it.
func TestThePrefixOfSeveralShardsLeavesTheFileWithTheLast(t *testing.T) {
	var h holders
	h.add("c:", 1)
	h.add("c:", 2)
	h.add("c:", 3)
	h.leave(3)
	if h.remove("c:", 1) {
		t.Error("it has left with the first")
	}
	if !h.remove("c:", 2) {
		t.Error("it stays for good")
	}
	if len(h.by) != 0 {
		t.Error(h.by)
	}
}

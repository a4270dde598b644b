package main

import (
	"slices"
	"strings"

	"github.com/evercache/evercache/internal/redisproc"
)

// owners are the addresses of the masters, by slot; "" where there is none.
type owners []string

func (o owners) holder() holder {
	return func(key string) string { return o[redisproc.Slot(key)] }
}

// nodeSays is what a node says of the Cluster; nothing is set where it does not answer.
type nodeSays struct {
	addr   string
	ok     bool // cluster_state
	owners owners
}

// nodeSaysOf reads the replies to CLUSTER SLOTS and CLUSTER INFO.
func nodeSaysOf(addr string, replies []any) nodeSays {
	n := nodeSays{addr: addr}
	if len(replies) < 2 {
		return n
	}
	info, _ := replies[1].(string)
	n.ok = strings.Contains(info, "cluster_state:ok")
	if list, ok := replies[0].([]any); ok {
		n.owners = ownersIn(list)
	}
	return n
}

// ownersIn reads CLUSTER SLOTS: [[first, last, [host, port, …], …], …]; nil: it is
// something else.
func ownersIn(list []any) owners {
	all := make(owners, redisproc.Slots)
	for _, item := range list {
		entry, _ := item.([]any)
		if len(entry) < 3 {
			return nil
		}
		first, ok1 := entry[0].(int64)
		last, ok2 := entry[1].(int64)
		node, _ := entry[2].([]any)
		master := joined(node, 0)
		if !ok1 || !ok2 || master == "" || first < 0 || last >= redisproc.Slots {
			return nil
		}
		for slot := first; slot <= last; slot++ {
			all[slot] = master
		}
	}
	return all
}

// agreed are the owners if every node that answers serves and names the same ones,
// each slot has one, and each of them answers; else nil.
func agreed(all []nodeSays) owners {
	var first owners
	answering := map[string]bool{}
	for _, n := range all {
		if n.owners == nil {
			continue
		}
		answering[n.addr] = true
		if first == nil {
			first = n.owners
		}
		if !n.ok || !slices.Equal(n.owners, first) {
			return nil
		}
	}
	if first == nil || slices.ContainsFunc(first, func(addr string) bool { return !answering[addr] }) {
		return nil
	}
	return first
}

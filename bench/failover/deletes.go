package main

import "sync"

// deletable are the keys that will be deleted. It is safe for concurrent use.
type deletable struct {
	mu     sync.Mutex // guards the rest
	old    []string   // written before the traffic
	recent []string   // acknowledged since
}

func (d *deletable) add(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.recent = append(d.recent, key)
}

// take is the key for the n-th delete, by turns an old one and the one that was
// acknowledged last; "" where nothing is left. A key is taken once.
func (d *deletable) take(n int) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	from := &d.old
	if n%2 == 1 && len(d.recent) > 0 || len(d.old) == 0 {
		from = &d.recent
	}
	last := len(*from) - 1
	if last < 0 {
		return ""
	}
	key := (*from)[last]
	*from = (*from)[:last]
	return key
}

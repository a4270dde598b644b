package outbox

// Last returns what was done last to a key, by a write of it or by the delete of a
// prefix, as a record: that of a prefix is an Invalidate without a class.
func (l *Ledger) Last(key string) (last Record, ok bool) {
	last, ok = l.Record(key)
	l.prefixes.mu.Lock()
	defer l.prefixes.mu.Unlock()
	for p := range l.prefixes.all.over(key) {
		if !p.Joined && (!ok || p.Since > last.Since) {
			last, ok = Record{Kind: Invalidate, Key: key, Since: p.Since, Lo: p.Lo, Hi: p.Hi}, true
		}
	}
	return last, ok
}

// LastSince is when that was, 0 where nothing is held.
func (l *Ledger) LastSince(key string) (since int64) {
	s := l.shard(key)
	s.mu.Lock()
	if e := s.entries[key]; e != nil {
		since = e.rec.Since
	}
	s.mu.Unlock()
	l.prefixes.mu.Lock()
	defer l.prefixes.mu.Unlock()
	for p := range l.prefixes.all.over(key) {
		if !p.Joined {
			since = max(since, p.Since)
		}
	}
	return since
}

// Recent are up to n keys that this process has written or deleted since then, those
// that a master took last first.
func (l *Ledger) Recent(since int64, n int) (keys []string) {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		keys = s.recent(since, n, keys)
		s.mu.Unlock()
	}
	return keys
}

// recent goes back over the lists. An entry is there since its record was made or
// later, so what follows one from before since is from before it too.
func (s *ledgerShard) recent(since int64, n int, keys []string) []string {
	for _, list := range []*ledgerList{&s.full, &s.bare, &s.ring} {
		for e := list.root.prev; e != &list.root && e.at >= since && len(keys) < n; e = e.prev {
			if e.rec.Since >= since && e.rec.Kind != Touch {
				keys = append(keys, e.rec.Key)
			}
		}
	}
	return keys
}

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

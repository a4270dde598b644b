package outbox

import "container/list"

// scan goes over the records of a Box in their order, some at a time.
type scan struct {
	box   *Box
	n     int
	want  func(*Record) bool
	found []Record

	at   *list.Element // the next to look at, and its key; nil: the first
	key  string
	seen map[uint64]struct{} // Seq of found, once the scan has begun anew
	most int                 // how many to look at next: more each time that it begins anew, so that it ends
}

// next looks at some more. It reports false when there are enough, or no more.
func (s *scan) next() bool {
	b := s.box
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.at == nil || b.byKey[s.key] != s.at {
		s.begin()
	}
	for range s.most {
		if s.at == nil || len(s.found) >= s.n {
			return false
		}
		s.look(s.at.Value.(*Record))
		s.at = s.at.Next()
	}
	if s.at == nil {
		return false
	}
	s.key = s.at.Value.(*Record).Key
	return true
}

// begin goes to the first record: for the first time, or because the one that was
// next has left the Box.
func (s *scan) begin() {
	s.at = s.box.order.Front()
	s.most = max(heldAtOnce, 2*s.most)
	s.seen = make(map[uint64]struct{}, len(s.found))
	for i := range s.found {
		s.seen[s.found[i].Seq] = struct{}{}
	}
}

func (s *scan) look(r *Record) {
	if s.want != nil && !s.want(r) || s.box.covered(r.Key) != nil {
		return
	}
	if _, is := s.seen[r.Seq]; !is {
		s.found = append(s.found, *r)
	}
}

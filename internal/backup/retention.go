package backup

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// kept is a file of a schedule.
type kept struct {
	name    string
	whole   bool // it was read to its end, and is as it was written
	good    bool // and nothing is missing in it
	ahead   bool // its name is of a time that has not come yet
	foreign bool // it is of something else than the schedule's
}

// expendable are the files that go: those that are whole, beyond the newest keep of them,
// and not the newest good one. files are the oldest first. What is broken stays, for
// somebody to look at. So does what has a name of a time to come, and it does not count: the
// clock was wrong then, or is now, and else it would push the true newest ones out. Nor does
// what is of something else.
func expendable(files []kept, keep int) []string {
	var gone []string
	wholes, goods := 0, 0
	for _, f := range slices.Backward(files) {
		if !f.whole || f.ahead || f.foreign {
			continue
		}
		wholes++
		last := f.good && goods == 0
		if f.good {
			goods++
		}
		if wholes > keep && !last {
			gone = append(gone, f.name)
		}
	}
	return gone
}

// look is what was seen of a file, which is not read again unless it has changed.
type look struct {
	size int64
	at   time.Time
	kept
}

// shelf is a directory of backups.
type shelf struct {
	dir   string
	allow bool // what is incomplete is good too
	of    *Header
	seen  map[string]look
}

// files reads what is in the directory, the oldest first.
func (s *shelf) files(ctx context.Context) ([]kept, error) {
	entries, err := os.ReadDir(s.dir) // sorted by name, so by time
	if err != nil {
		return nil, err
	}
	var all []kept
	now := map[string]look{}
	for _, e := range entries {
		info, err := e.Info()
		at, of := timeOf(e.Name())
		if !of || err != nil || !info.Mode().IsRegular() {
			continue
		}
		l, had := s.seen[e.Name()]
		if !had || l.size != info.Size() || !l.at.Equal(info.ModTime()) {
			l = look{size: info.Size(), at: info.ModTime(), kept: s.read(ctx, e.Name())}
		}
		if ctx.Err() != nil {
			return nil, errInterrupted
		}
		now[e.Name()] = l
		l.ahead = at.After(time.Now().Add(time.Minute))
		all = append(all, l.kept)
	}
	s.seen = now
	return all, nil
}

func (s *shelf) read(ctx context.Context, name string) kept {
	k := kept{name: name}
	f, err := os.Open(filepath.Join(s.dir, name))
	if err != nil {
		return k
	}
	defer f.Close()
	sum, err := Verify(ctx, f, nil)
	k.whole = err == nil
	k.foreign = k.whole && s.of != nil && !s.of.alike(sum.Header)
	k.good = k.whole && (s.allow || sum.Footer.TooLarge == 0 && sum.Footer.Moving == 0)
	return k
}

// pruned is what became of the files, by their names.
type pruned struct{ removed, broken, ahead, foreign []string }

// prune removes what is not kept.
func (s *shelf) prune(ctx context.Context, keep int) (p pruned, err error) {
	all, err := s.files(ctx)
	if err != nil {
		return p, err
	}
	for _, f := range all {
		switch {
		case !f.whole:
			p.broken = append(p.broken, f.name)
		case f.foreign:
			p.foreign = append(p.foreign, f.name)
		case f.ahead:
			p.ahead = append(p.ahead, f.name)
		}
	}
	for _, name := range expendable(all, keep) {
		if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
			return p, err
		}
		p.removed = append(p.removed, name)
	}
	return p, nil
}

// staleAfter is how long nothing was written to an incomplete file that is left behind.
const staleAfter = time.Hour

// sweep removes the incomplete files that a crash has left.
func (s *shelf) sweep(now time.Time) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		base, _, temp := strings.Cut(e.Name(), tempMark)
		if _, of := timeOf(base); !temp || !of && base != lastSuccess {
			continue
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && now.Sub(info.ModTime()) > staleAfter {
			_ = os.Remove(filepath.Join(s.dir, e.Name()))
		}
	}
}

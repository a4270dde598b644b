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
	name  string
	whole bool // it was read to its end, and is as it was written
	good  bool // and nothing is missing in it
}

// expendable are the files that go: those that are whole, beyond the newest keep of them,
// and not the newest good one. files are the oldest first. What is broken stays, for
// somebody to look at.
func expendable(files []kept, keep int) []string {
	var gone []string
	wholes, goods := 0, 0
	for _, f := range slices.Backward(files) {
		if !f.whole {
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
		if _, of := timeOf(e.Name()); !of || err != nil || !info.Mode().IsRegular() {
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
	k.good = k.whole && (s.allow || sum.Footer.TooLarge == 0 && sum.Footer.Moving == 0)
	return k
}

// prune removes what is not kept, and names what is broken.
func (s *shelf) prune(ctx context.Context, keep int) (removed, broken []string, err error) {
	all, err := s.files(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range all {
		if !f.whole {
			broken = append(broken, f.name)
		}
	}
	for _, name := range expendable(all, keep) {
		if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
			return removed, broken, err
		}
		removed = append(removed, name)
	}
	return removed, broken, nil
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

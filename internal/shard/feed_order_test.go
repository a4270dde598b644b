package shard

import (
	"slices"
	"sync"
	"testing"

	"github.com/evercache/evercache/internal/cover"
	"github.com/evercache/evercache/internal/topology"
)

// The tests of this file try every order in which a reader, a change of the master, a
// proof and a doubt or a flush can come: with the feed as it is, and with a model of it
// in which one rule after another is left out. After each step a hit is tried.

// truth is what is so, whatever anybody thinks.
type truth struct {
	epoch     int     // ends of epochs so far
	announces [3]bool // whether the master of an epoch announces the class
	away      bool    // there is no master
	proved    bool    // since the last end of an epoch, or the last doubt
	asked     int     // the epoch in which the master answered the reader
	item      *entry  // what the reader has put into memory
}

// entry is what memory holds: what it thinks of it.
type entry struct {
	covers, over func() bool
	tracked      bool // it was called covered once
}

// hit says what is wrong with what memory would serve.
func (tr *truth) hit() (covered bool, fault string) {
	it := tr.item
	if it == nil {
		return false, ""
	}
	switch covered = it.covers(); {
	case covered && it.over():
		return true, "what is over is covered"
	case covered && tr.asked != tr.epoch:
		return true, "what is of an epoch that has ended is covered"
	case covered && !tr.announces[tr.asked]:
		return true, "what nobody announces is covered"
	case covered && !tr.proved:
		return true, "it is covered without proofs"
	case !covered && it.tracked && tr.asked != tr.epoch && !it.over():
		return false, "what was covered in an epoch that has ended is served within L1TTL"
	}
	return covered, ""
}

type step func()

// play tries every order of the steps of some threads, each in a world of its own. It
// returns a fault, if there is any, and in how many orders something was covered.
func play(world func() (*truth, [][]step)) (fault string, covered int) {
	_, threads := world()
	var order []int
	left := make([]int, len(threads))
	for i, th := range threads {
		left[i] = len(th)
	}
	run := func() {
		tr, threads := world()
		once := false
		for _, i := range order {
			threads[i][0]()
			threads[i] = threads[i][1:]
			c, f := tr.hit()
			if once = once || c; f != "" {
				fault = f
			}
		}
		if once {
			covered++
		}
	}
	var choose func()
	choose = func() {
		if !slices.ContainsFunc(left, func(n int) bool { return n > 0 }) {
			run()
			return
		}
		for i := range left {
			if left[i] == 0 {
				continue
			}
			left[i]--
			order = append(order, i)
			choose()
			left[i]++
			order = order[:len(order)-1]
		}
	}
	choose()
	return fault, covered
}

// scenes are what comes beside the reader and the proofs.
var scenes = []string{"another master", "another master and a doubt", "a flush and a doubt", "a silence", "a doubt"}

// realWorld is the feed as it is. The steps are its calls: each holds the lock, but
// for Mark.
func realWorld(scene string, next bool) func() (*truth, [][]step) {
	return func() (*truth, [][]step) {
		tr := &truth{announces: [3]bool{true, next, next}}
		f := NewFeed()
		sh := &Shard{Store: &Store{heard: newHeard()}, Feed: f}
		sh.routes.Set(topology.Single(sh))
		k := &Class{st: sh.Store}
		f.Begin(true, nil)
		sh.hears.set(k, true)
		var m Mark
		var answered bool
		reader := []step{
			func() { m = k.Mark("k") },
			func() { tr.asked, answered = tr.epoch, !tr.away },
			func() {
				if c := m.Cover(); answered {
					tr.item = &entry{func() bool { return c.Covers(5) }, c.Over, c != nil}
				}
			},
		}
		heard := false
		prover := []step{func() { f.ProvedHeard(4); heard = true }, func() { f.ProvedBarrier(4); tr.proved = heard }}
		ended := func() { tr.epoch++; tr.proved, heard = false, false }
		other := []step{
			func() { tr.away = true; sh.hears.set(k, false) },
			func() { f.Begin(true, nil); ended() },
			func() { sh.hears.set(k, next); tr.away = false },
		}
		doubt := []step{func() { f.Doubt(4); tr.proved, heard = false, false }}
		flush := []step{func() { f.flushed(); tr.epoch++ }}
		silence := []step{func() { f.Silent(); ended() }}
		tr.announces[1] = next || scene == "a flush and a doubt" || scene == "a silence"
		return tr, map[string][][]step{
			"another master":             {reader, prover, other},
			"another master and a doubt": {reader, prover, other, doubt},
			"a flush and a doubt":        {reader, prover, flush, doubt},
			"a silence":                  {reader, prover, silence},
			"a doubt":                    {reader, prover, doubt},
		}[scene]
	}
}

func TestNothingIsCoveredThatMayHaveChangedInWhateverOrder(t *testing.T) {
	t.Parallel()
	for _, scene := range scenes {
		for _, next := range []bool{false, true} {
			fault, covered := play(realWorld(scene, next))
			if fault != "" {
				t.Errorf("%s, announced by the next master: %v: %s", scene, next, fault)
			}
			if covered == 0 {
				t.Errorf("%s: nothing is ever covered", scene)
			}
		}
	}
}

// rules are what the feed, Mark and a hit hold to.
type rules struct {
	lock       bool // the lease is settled and epochs end under one lock
	stays      bool // an ended cover stays ended
	over       bool // the end of an epoch ends its cover, and a hit looks at that
	coverFirst bool // Mark reads the cover before it reads whether the class is announced
	before     bool // an item has the cover of before Redis was asked
}

var allRules = rules{lock: true, stays: true, over: true, coverFirst: true, before: true}

// modelCover is a Cover without its rules.
type modelCover struct {
	until int
	over  bool
}

// modelWorld is a feed with some rules, in the smallest steps.
func modelWorld(r rules, doubt, next bool) func() (*truth, [][]step) {
	return func() (*truth, [][]step) {
		const lease = 10
		tr := &truth{announces: [3]bool{true, next}}
		present, tracked := &modelCover{}, true
		renew := func(c *modelCover, until int) {
			if !c.over || !r.stays {
				c.until = until
			}
		}
		var mark, settled *modelCover
		var marked, answered bool
		readCover, readTracked := func() { mark = present }, func() { marked = tracked }
		marks := []step{readCover, readTracked}
		if !r.coverFirst {
			marks = []step{readTracked, readCover}
		}
		reader := append(marks,
			func() { tr.asked, answered = tr.epoch, !tr.away },
			func() {
				c, covered := mark, marked
				if !r.before {
					c, covered = present, tracked
				}
				if answered {
					tr.item = &entry{
						func() bool { return covered && c.until > 0 },
						func() bool { return covered && c.over && r.over },
						covered,
					}
				}
			})
		prover := []step{func() { settled, tr.proved = present, true }, func() { renew(settled, lease) }}
		ends := func() {
			if r.over {
				present.over, present.until = true, 0
			}
			present = &modelCover{}
			tr.epoch, tr.proved = tr.epoch+1, false
		}
		if r.lock {
			prover = []step{func() { tr.proved = true; renew(present, lease) }}
		}
		threads := [][]step{reader, prover, {
			func() { tr.away = true },
			func() { tracked = false },
			ends,
			func() { tracked = next; tr.away = false },
		}}
		if doubt {
			threads = append(threads, []step{func() { renew(present, 0); tr.proved = false }})
		}
		return tr, threads
	}
}

func TestEachRuleOfTheFeedIsNeeded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		rules func(*rules)
		doubt bool
		fails bool
	}{
		{"all", func(*rules) {}, true, false},
		{"no lock, and a doubt", func(r *rules) { r.lock = false }, true, true},
		{"no lock, but ended covers stay ended", func(r *rules) { r.lock = false }, false, false},
		{"ended covers do not stay ended, but there is the lock", func(r *rules) { r.stays = false }, true, false},
		{"no lock, and ended covers do not stay ended", func(r *rules) { r.lock, r.stays = false, false }, false, true},
		{"ended covers are not over", func(r *rules) { r.over = false }, false, true},
		{"the class before the cover", func(r *rules) { r.coverFirst = false }, false, true},
		{"the cover after the answer", func(r *rules) { r.before = false }, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := allRules
			tt.rules(&r)
			fault, covered := play(modelWorld(r, tt.doubt, false))
			if f, _ := play(modelWorld(r, tt.doubt, true)); fault == "" {
				fault = f
			}
			if (fault != "") != tt.fails {
				t.Errorf("fault: %q", fault)
			}
			if covered == 0 {
				t.Error("nothing is ever covered")
			}
		})
	}
}

// TestAnAnswerOfAnEpochThatHasEndedIsOver also where the class is not announced.
func TestAnAnswerOfAnEpochThatHasEndedIsOver(t *testing.T) {
	t.Parallel()
	f := NewFeed()
	sh := &Shard{Store: &Store{heard: newHeard()}, Feed: f}
	sh.routes.Set(topology.Single(sh))
	m := (&Class{st: sh.Store}).Mark("k")
	if m.Over() || m.Cover() != (*cover.Cover)(nil) {
		t.Error("over, or covered")
	}
	f.end()
	if !m.Over() {
		t.Error("not over")
	}
}

// TestAProofOfBeforeADoubtRenewsNothing though it comes at the same time, while
// epochs end too.
func TestAProofOfBeforeADoubtRenewsNothing(t *testing.T) {
	t.Parallel()
	for range 200 {
		f := NewFeed()
		f.Begin(true, nil)
		var wg sync.WaitGroup
		begin := make(chan struct{})
		for _, prove := range []func(int64){f.ProvedBarrier, f.ProvedHeard} {
			wg.Go(func() {
				<-begin
				for range 20 {
					prove(4)
				}
			})
		}
		wg.Go(func() {
			<-begin
			before := f.Cover()
			f.flushed()
			if before.Covers(0) || !before.Over() {
				t.Error("it covers after a flush")
			}
		})
		wg.Go(func() {
			<-begin
			f.Doubt(5)
		})
		close(begin)
		wg.Wait()
		if f.Cover().Covers(0) || f.Alone(0) {
			t.Fatal("a proof of before the doubt counts")
		}
	}
}

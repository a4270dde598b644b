package daemon

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/evercache/evercache"
)

func TestAClassExistsFromItsFirstPutUpToABound(t *testing.T) {
	s := serveAPI(t)
	for i := range 100 {
		s.do("PUT", fmt.Sprintf("/v1/cache/c%d/a", i), "v").wantsStatus(t, 204)
	}
	s.do("PUT", "/v1/cache/one-more/a", "v").wants(t, 507, "too_many_classes")
	s.do("PUT", "/v1/cache/c7/b", "v").wantsStatus(t, 204)
	// Its keys may be in Redis all the same, from another process.
	s.do("GET", "/v1/cache/one-more/a", "").wants(t, 404, "not_found")
	s.do("DELETE", "/v1/cache/one-more/a", "").wantsStatus(t, 204)
}

func TestReadingInventedClassesDoesNotStopWriting(t *testing.T) {
	s := serveAPI(t)
	for i := range 100 {
		s.do("GET", fmt.Sprintf("/v1/cache/invented%d/a", i), "").wants(t, 404, "not_found")
	}
	for _, method := range []string{"GET", "DELETE"} {
		s.do(method, "/v1/cache/one-more/a", "").wants(t, 507, "too_many_classes")
	}
	s.do("DELETE", "/v1/cache/one-more?prefix=", "").wants(t, 507, "too_many_classes")
	s.do("PUT", "/v1/cache/one-more/a", "v").wantsStatus(t, 204)
	s.do("GET", "/v1/cache/one-more/a", "").wantsStatus(t, 200)
	// A class that is written makes room for the reading of another.
	s.do("PUT", "/v1/cache/invented3/a", "v").wantsStatus(t, 204)
	s.do("GET", "/v1/cache/two-more/a", "").wants(t, 404, "not_found")
}

func TestAPutThatIsRefusedMakesNoClass(t *testing.T) {
	s := serveAPI(t)
	s.do("PUT", "/v1/cache/demo/a?ttl=0", "v").wants(t, 400, "bad_ttl")
	s.do("PUT", "/v1/cache/Demo/a", "v").wants(t, 400, "bad_class")
	if n := len(s.api.classes.byName); n != 0 {
		t.Errorf("%d classes were made", n)
	}
}

func TestClassesAreMadeOnce(t *testing.T) {
	var mu sync.Mutex
	made := map[string]int{}
	cs := newClasses(5, func(name string) (cache, error) {
		mu.Lock()
		defer mu.Unlock()
		made[name]++
		return &fakeCache{}, nil
	})
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			name := fmt.Sprint("c", i%4)
			if _, err := cs.forReading(name); err != nil {
				t.Error(err)
			}
			if _, err := cs.forWriting(name); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for name, n := range made {
		if n != 1 {
			t.Errorf("%s was made %d times", name, n)
		}
	}
	if cs.written != 4 || len(cs.byName) != 4 {
		t.Errorf("written = %d of %d, want 4 of 4", cs.written, len(cs.byName))
	}
}

func TestAClassThatCannotBeMadeIsNotRemembered(t *testing.T) {
	fault := evercache.ErrClosed
	cs := newClasses(1, func(string) (cache, error) { return nil, fault })
	if _, err := cs.forWriting("demo"); err == nil || !errors.Is(err.cause, fault) {
		t.Errorf("error = %v, want %v", err, fault)
	}
	if len(cs.byName) != 0 || cs.written != 0 {
		t.Errorf("%d classes, %d written; want none", len(cs.byName), cs.written)
	}
}

func TestAClassThatIsNotUsedMakesRoomForAnother(t *testing.T) {
	now := time.Unix(1000, 0)
	cs := newClasses(2, func(string) (cache, error) { return &fakeCache{}, nil })
	cs.now = func() time.Time { return now }
	reads := func(name string) bool { _, err := cs.forReading(name); return err == nil }
	writes := func(name string) bool { _, err := cs.forWriting(name); return err == nil }
	if !writes("w1") || !writes("w2") || !reads("r1") || !reads("r2") || reads("r3") || writes("w3") {
		t.Fatal("two of each kind can be made")
	}
	now = now.Add(readUnused)
	if !reads("r2") || !reads("w1") { // they are of use
		t.Fatal("a class is lost")
	}
	if writes("w3") || !reads("r3") || reads("r4") {
		t.Error("r1 makes room for reading, once, and none for writing")
	}
	now = now.Add(writtenUnused - readUnused)
	if !writes("w3") || writes("w4") || cs.byName["w1"] == nil || cs.byName["w2"] != nil {
		t.Error("w2, and not w1, makes room for writing, once")
	}
	if cs.written != 2 || len(cs.byName) != 4 {
		t.Errorf("%d classes, %d of them written", len(cs.byName), cs.written)
	}
}

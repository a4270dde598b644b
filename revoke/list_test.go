package revoke_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

func TestARevokedTokenIsRefusedEverywhereAtOnce(t *testing.T) {
	t.Parallel()
	ps := startAll(t, 3, single(redistest.Start(t)), revoke.Policy{})
	var took []time.Duration
	late := lateness(t)
	for _, id := range ids("at-once-", 20) {
		if got := ps[1].status(id); got != revoke.NotRevoked {
			t.Fatalf("before: %v", got)
		}
		began := time.Now()
		ps[0].revoke(id)
		if got := ps[0].status(id); got != revoke.Revoked {
			t.Fatalf("in the process that revoked it: %v", got)
		}
		for _, p := range ps[1:] {
			for p.status(id) != revoke.Revoked {
				if time.Since(began) > 30*time.Second {
					t.Fatal("not refused elsewhere")
				}
				time.Sleep(100 * time.Microsecond)
			}
		}
		took = append(took, time.Since(began))
	}
	if m, limit := median(took), 50*time.Millisecond+late(); m > limit {
		t.Errorf("refused by all three after %v (median of 20), want at most %v", m, limit)
	} else {
		t.Logf("refused by all three after %v (median of 20)", m)
	}
}

func TestASubjectIsLoggedOutUpToTheCutOff(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ps := startAll(t, 2, single(server), revoke.Policy{})
	cut := time.Now().Truncate(time.Second).Add(300 * time.Millisecond)
	for _, at := range []time.Time{cut.Add(-100 * time.Millisecond), cut} { // the later takes the place of the other
		if _, err := ps[0].RevokeIssuedBefore(t.Context(), "anna", at, inAnHour()); err != nil {
			t.Fatal(err)
		}
	}
	// An earlier cut-off does not take anything back.
	for _, before := range []time.Duration{time.Millisecond, time.Hour} {
		if _, err := ps[1].RevokeIssuedBefore(t.Context(), "anna", cut.Add(-before), inAnHour()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 30*time.Second, "both know the subject", func() bool {
		return ps[1].Check(revoke.Token{Subject: "anna", IssuedAt: cut.Add(-time.Minute)}).Status == revoke.Revoked
	})
	third := start(t, single(server), revoke.Policy{})
	third.waitReady()
	for i, p := range append(ps, third) {
		for _, tt := range []struct {
			name   string
			issued time.Time
			want   revoke.Status
		}{
			{"before", cut.Add(-time.Minute), revoke.Revoked},
			{"in the same second", cut.Truncate(time.Second), revoke.Revoked},
			{"at the cut-off", cut, revoke.Revoked},
			{"later in that millisecond", cut.Add(999 * time.Microsecond), revoke.Revoked},
			{"in the next millisecond", cut.Add(time.Millisecond), revoke.NotRevoked},
			{"at the end of that second", cut.Truncate(time.Second).Add(900 * time.Millisecond), revoke.NotRevoked},
			{"in the next second", cut.Truncate(time.Second).Add(time.Second), revoke.NotRevoked},
			{"nobody knows when", time.Time{}, revoke.Revoked},
			{"before 1970", time.Unix(-1, 0), revoke.Revoked},
			{"milliseconds for seconds", time.Unix(cut.UnixMilli(), 0), revoke.Revoked},
			{"far ahead", time.Unix(1<<62, 0), revoke.Revoked},
			{"so far ahead that it wraps", time.Unix(1<<63-1, 0), revoke.Revoked},
			{"so long ago that it wraps", time.Unix(-1<<63, 0), revoke.Revoked},
		} {
			eventually(t, 30*time.Second, tt.name, func() bool {
				return p.Check(revoke.Token{ID: "x", Subject: "anna", IssuedAt: tt.issued}).Status == tt.want
			})
		}
		if got := p.Check(revoke.Token{ID: "x", Subject: "berta", IssuedAt: cut.Add(-time.Hour)}).Status; got != revoke.NotRevoked {
			t.Errorf("process %d, another subject: %v", i, got)
		}
	}
}

func TestHostileInputIsRefused(t *testing.T) {
	t.Parallel()
	p := startAll(t, 1, single(redistest.Start(t)), revoke.Policy{MaxLife: time.Hour})[0]
	soon := time.Now().Add(time.Minute)
	big := string(make([]byte, 1<<20))
	for _, tt := range []struct {
		name string
		id   string
		exp  time.Time
		want error
	}{
		{"empty", "", soon, revoke.ErrID},
		{"1 MiB", big, soon, revoke.ErrID},
		{"no text", "\x00\x01\r\n*1\r\n", soon, nil},
		{"not UTF-8", "\x00\xff\r\n*1\r\n", soon, revoke.ErrID},
		{"half of a character", "\xc3", soon, revoke.ErrID},
		{"longest", big[:revoke.MaxIDBytes], soon, nil},
		{"zero expiry", "a", time.Time{}, revoke.ErrExpiry},
		{"expired", "a", time.Now().Add(-time.Hour), revoke.ErrExpiry},
		{"expired within the skew", "b", time.Now().Add(-time.Second), nil},
		{"beyond the maximum", "a", time.Now().Add(3 * time.Hour), revoke.ErrExpiry},
		{"far beyond", "a", time.Unix(1<<60, 0), revoke.ErrExpiry},
		{"milliseconds for seconds", "a", time.Unix(time.Now().UnixMilli(), 0), revoke.ErrExpiry},
	} {
		if _, err := p.Revoke(t.Context(), tt.id, tt.exp); !errors.Is(err, tt.want) {
			t.Errorf("%s: Revoke = %v, want %v", tt.name, err, tt.want)
		}
		if tt.want == nil && p.status(tt.id) != revoke.Revoked {
			t.Errorf("%s: not refused", tt.name)
		}
	}
	if _, err := p.RevokeIssuedBefore(t.Context(), "an\xffna", time.Now(), soon); !errors.Is(err, revoke.ErrID) {
		t.Errorf("a subject that is not UTF-8: %v", err)
	}
	if _, err := p.RevokeIssuedBefore(t.Context(), "anna", time.Now().Add(time.Hour), soon); !errors.Is(err, revoke.ErrExpiry) {
		t.Errorf("a cut-off in the future: %v", err)
	}
	for name, cut := range map[string]time.Time{
		"zero": {}, "1970": time.Unix(0, 0), "before 1970": time.Unix(-1, 0), "milliseconds": time.Unix(time.Now().UnixMilli(), 0),
		"when no token of then is alive": time.Now().Add(-2 * time.Hour), "wrapped": time.Unix(1<<63-1, 0),
	} {
		if _, err := p.RevokeIssuedBefore(t.Context(), "anna", cut, soon); !errors.Is(err, revoke.ErrExpiry) {
			t.Errorf("a cut-off, %s: %v", name, err)
		}
	}
	for name, token := range map[string]revoke.Token{"not UTF-8": {ID: "\xff"}, "a subject that is not": {ID: "a", Subject: "\xff"}, "nothing": {}, "1 MiB": {ID: big}, "1 MiB subject": {ID: "a", Subject: big}} {
		if v := p.Check(token); v.Status != revoke.Unknown || v.Allowed() {
			t.Errorf("%s: %v", name, v)
		}
	}
	if got := p.status("a"); got != revoke.NotRevoked {
		t.Errorf("what was refused is in force: %v", got)
	}
	before := p.Stats().Entries
	for _, id := range ids("garbage-", 1000) {
		p.Check(revoke.Token{ID: id, Subject: id})
	}
	if got := p.Stats().Entries; got != before {
		t.Errorf("checks have grown the list from %d to %d", before, got)
	}
}

func TestTheBoundIsAnErrorAndNotAHole(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := startAll(t, 1, single(server), revoke.Policy{MaxEntries: 3})[0]
	p.revoke("a", "b", "c", "a")
	if _, err := p.Revoke(t.Context(), "d", inAnHour()); !errors.Is(err, revoke.ErrFull) {
		t.Errorf("Revoke beyond the bound: %v", err)
	}
	larger := startAll(t, 1, single(server), revoke.Policy{})[0]
	larger.revoke("d")
	small := start(t, single(server), revoke.Policy{MaxEntries: 3})
	eventually(t, 30*time.Second, "a finding", func() bool { return hasFinding(small, "revocations-full") })
	if small.Ready() || small.status("x") != revoke.Unknown {
		t.Error("a process believes a set that it has no room for")
	}
}

func hasFinding(p *process, code string) bool {
	for _, f := range p.client.Health().Findings {
		if f.Code == code {
			return true
		}
	}
	return false
}

func TestWithoutRedisMemoryIsAllThereIs(t *testing.T) {
	t.Parallel()
	p := start(t, evercache.Options{MemoryOnly: true}, revoke.Policy{})
	if !p.Ready() || p.status("a") != revoke.NotRevoked {
		t.Fatalf("at the start: ready %v, %v", p.Ready(), p.status("a"))
	}
	if r, err := p.Revoke(t.Context(), "a", inAnHour()); err != nil || r.Durability != evercache.Memory {
		t.Fatalf("Revoke = %v, %v", r, err)
	}
	if got, err := p.CheckStrict(t.Context(), revoke.Token{ID: "a"}); err != nil || got.Status != revoke.Revoked {
		t.Fatalf("CheckStrict = %v, %v", got, err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := p.Revoke(t.Context(), "b", inAnHour()); !errors.Is(err, evercache.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestAStrictCheckKnowsWhatWasAcknowledgedBeforeIt(t *testing.T) {
	t.Parallel()
	ps := startAll(t, 2, single(redistest.Start(t)), revoke.Policy{})
	eventually(t, 30*time.Second, "a lease", func() bool { _, err := ps[1].CheckStrict(t.Context(), revoke.Token{ID: "x"}); return err == nil })
	var took []time.Duration
	for _, id := range ids("strict-", 20) {
		ps[0].revoke(id)
		v, err := ps[1].CheckStrict(t.Context(), revoke.Token{ID: id})
		if err != nil || v.Status != revoke.Revoked {
			t.Fatalf("CheckStrict = %v, %v", v, err)
		}
		began := time.Now()
		if v, err = ps[1].CheckStrict(t.Context(), revoke.Token{ID: "other" + id}); err != nil || !v.Allowed() || v.AsOf.Before(began) {
			t.Fatalf("CheckStrict of another = %+v, %v (%v)", v, err, began)
		}
		took = append(took, time.Since(began))
	}
	t.Logf("median %v", median(took))
}

func TestAnotherSecretIsNoticed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := startAll(t, 1, single(server), revoke.Policy{Key: "one"})[0]
	p.revoke("a")
	other := start(t, single(server), revoke.Policy{Key: "two"})
	eventually(t, 30*time.Second, "a finding", func() bool { return hasFinding(other, "revocations-key") })
	if other.Ready() || other.Check(revoke.Token{ID: "a"}).Allowed() {
		t.Error("a process with another secret believes that it knows")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := revoke.Init(ctx, other.client, revoke.Policy{Key: "two"}); err == nil {
		t.Error("Init has taken over a list with another secret")
	}
}

func TestAWrongPolicyIsOneErrorThatNamesEveryFault(t *testing.T) {
	t.Parallel()
	c, err := evercache.Open(t.Context(), evercache.Options{MemoryOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = revoke.New(c, revoke.Policy{Namespace: "a:b", Replicas: 2, MaxLag: time.Millisecond, MaxEntries: -1})
	joined, ok := errors.Unwrap(err).(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 4 {
		t.Errorf("New = %v", err)
	}
}

package loopback

import "testing"

func TestPairIsTwoPortsThatAreHeld(t *testing.T) {
	p, err := ReservePair(10000)
	if err != nil {
		t.Fatal(err)
	}
	if p.Second() != p.Number()+10000 {
		t.Errorf("ports %d and %d, want 10000 apart", p.Number(), p.Second())
	}
	for _, n := range []int{p.Number(), p.Second()} {
		if _, err := claim(n); err == nil {
			t.Errorf("port %d was claimed twice", n)
		}
	}
	for range 2 {
		if err := p.Release(); err != nil {
			t.Error(err)
		}
	}
	for _, n := range []int{p.Number(), p.Second()} {
		again, err := claim(n)
		if err != nil {
			t.Errorf("claim of a released port: %v", err)
			continue
		}
		if err := again.Release(); err != nil {
			t.Error(err)
		}
	}
}

func TestAPairOfWhichOneIsTakenIsNotHeld(t *testing.T) {
	both, err := ReservePair(100)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = both.Release() })
	if err := both.Port.Release(); err != nil { // the first is free, the second is not
		t.Fatal(err)
	}
	if p, err := claimPair(both.Number(), 100); err == nil {
		_ = p.Release()
		t.Fatal("a pair was claimed of which the second is taken")
	}
	first, err := claim(both.Number())
	if err != nil {
		t.Fatalf("the first is still held: %v", err)
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestPairSpan(t *testing.T) {
	for _, tt := range []struct {
		name      string
		low, high int
		from, to  int
	}{
		{"Linux as it comes: both below the ephemeral range", 32768, 60999, lowest, 22768},
		{"no room for both: the second may be ephemeral", 15000, 60999, lowest, 15000},
		{"range moved down", 1024, 30000, 30001, 55536},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from, to := pairSpan(10000, func() (int, int) { return tt.low, tt.high })
			if from != tt.from || to != tt.to {
				t.Errorf("pairSpan = [%d, %d), want [%d, %d)", from, to, tt.from, tt.to)
			}
		})
	}
}

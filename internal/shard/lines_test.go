package shard

import (
	"slices"
	"testing"
)

func TestALineSendsTogetherWhatHasCome(t *testing.T) {
	var q Lines[int]
	one, other := new(Shard), new(Shard)
	if !q.add(one, waiting[int]{-1, 1}) || !q.add(other, waiting[int]{-2, 1}) {
		t.Fatal("the first of a line does not send")
	}
	if got := q.next(one); len(got) != 1 {
		t.Fatalf("a lone one goes with %d", len(got))
	}
	var sizes, want []int
	senders := 1
	add := func(bytes int) {
		want, sizes = append(want, len(sizes)), append(sizes, bytes)
		if q.add(one, waiting[int]{len(sizes) - 1, bytes}) {
			senders++
		}
	}
	for range 5 * LineBatch {
		add(8)
	}
	if senders != LineSenders {
		t.Errorf("%d send", senders)
	}
	for range 3 {
		add(LineBytes / 2)
	}
	add(2 * LineBytes)
	var got []int
	for batch := q.next(one); batch != nil; batch = q.next(one) {
		bytes := 0
		for _, i := range batch {
			bytes += sizes[i]
		}
		if len(batch) > LineBatch || bytes > LineBytes && len(batch) > 1 {
			t.Errorf("%d of %d bytes go together", len(batch), bytes)
		}
		got = append(got, batch...)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d of %d come out, or in another order", len(got), len(want))
	}
	for range LineSenders - 1 {
		if q.next(one) != nil {
			t.Error("there is more")
		}
	}
	if got := q.next(other); len(got) != 1 || q.next(other) != nil || len(q.lines) != 1 {
		t.Errorf("another line has %d; %d lines are left", len(got), len(q.lines))
	}
	for i := range 3 * LineBatch { // a line that is used again
		if !q.add(other, waiting[int]{i, 1}) {
			t.Fatal("nobody sends")
		}
		if got := q.next(other); len(got) != 1 || got[0] != i || q.next(other) != nil {
			t.Fatalf("%d comes out, want %d", got, i)
		}
	}
}

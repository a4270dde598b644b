package remote

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

func TestADatasetIsKnownByItsLastBarrierAndItsMarker(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		was, now dataset
		want     fate
	}{
		{"no barrier yet", dataset{0, "a"}, dataset{0, "b"}, same},
		{"the last barrier is there", dataset{7, "a"}, dataset{7, "a"}, same},
		{"one that was not answered, too", dataset{7, "a"}, dataset{8, "a"}, same},
		{"the marker is gone alone", dataset{7, "a"}, dataset{7, ""}, same},
		{"the barrier is gone alone", dataset{7, "a"}, dataset{0, "a"}, same},
		{"an earlier barrier", dataset{7, "a"}, dataset{5, "a"}, older},
		{"both are gone", dataset{7, "a"}, dataset{0, ""}, another},
		{"another marker", dataset{7, "a"}, dataset{0, "b"}, another},
		{"no barrier, and the marker is not known", dataset{7, ""}, dataset{0, ""}, another},
	} {
		if got := tt.was.became(tt.now); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// The marker counts that is there, whoever wrote it, and whenever.
func TestTheBookIsToldTheMarkerThatTheServerHas(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		first  bool // another process marks the dataset between our question and our mark
		before string
	}{
		{name: "ours"},
		{name: "another process was first", first: true},
		{name: "it was there", before: "theirs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startRedis(t, redisproc.Options{})
			if tt.before != "" {
				ask(t, p, "SET", "~dataset", tt.before)
			}
			d := &keeper{look: func() {
				if tt.first {
					ask(t, p, "SET", "~dataset", "of another process")
				}
			}}
			h := heartbeat
			h.Book, h.Marker = d, "~dataset"
			n, err := Dial(t.Context(), config(p.Addr()), h, observer(func(string, time.Duration, Kind) {}))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(n.Abandon)
			if there := fmt.Sprint(ask(t, p, "GET", "~dataset")); d.marks[0] != there || d.lines[1] != "marked" {
				t.Errorf("the dial tells %q in the order %v, and %q is there", d.marks[0], d.lines, there)
			}
			for _, lost := range []func(){
				func() { ask(t, p, "DEL", "~dataset") },
				func() { ask(t, p, "SET", "~dataset", "by hand") },
			} {
				lost()
				if _, err := n.Barrier(t.Context(), 0); err != nil {
					t.Fatal(err)
				}
				if there := fmt.Sprint(ask(t, p, "GET", "~dataset")); d.marker() != there {
					t.Errorf("a barrier tells %q, and %q is there", d.marker(), there)
				}
			}
		})
	}
}

// What may not be asked for is not taken for missing.
func TestADialTellsWhatItCouldNotAsk(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, rights, barrier string
		want                  Held
	}{
		{name: "all is allowed", rights: " ~*", barrier: "7", want: Held{Barrier: 7, Dataset: "it"}},
		{name: "the marker is hidden", rights: " ~~b:*", barrier: "7", want: Held{Barrier: 7, DatasetUnknown: true}},
		{name: "the barrier is hidden", rights: " ~~dataset", barrier: "7", want: Held{Dataset: "it", BarrierUnknown: true}},
		{name: "both are hidden", barrier: "7", want: Held{BarrierUnknown: true, DatasetUnknown: true}},
		{name: "somebody has overwritten the barrier", rights: " ~*", barrier: "seven", want: Held{Dataset: "it", BarrierUnknown: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startRedis(t, redisproc.Options{})
			ask(t, p, "SET", "~b:test", tt.barrier)
			ask(t, p, "SET", "~dataset", "it")
			ask(t, p, append([]string{"ACL", "SETUSER", "app", "on", "nopass"}, strings.Fields("&* +@all resetkeys ~other"+tt.rights)...)...)
			d := &keeper{look: func() {}}
			h, c := heartbeat, config(p.Addr())
			h.Book, h.Marker, c.Username, c.Password = d, "~dataset", "app", "any"
			n, err := Dial(t.Context(), c, h, observer(func(string, time.Duration, Kind) {}))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(n.Abandon)
			got := d.found[0]
			got.Addr, got.Evictions = "", Evictions{}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

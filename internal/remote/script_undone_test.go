package remote

import (
	"testing"
	"time"
)

// Only what is certainly older than our write, and by not too much, is told.
func TestOlderTellsOnlyWhatIsCertain(t *testing.T) {
	b := startBed(t)
	const by = 30 * time.Second
	for name, tt := range map[string]struct {
		scene
		sent bool // our write was sent with its end
		own  bool // an earlier write of ours had it
		want bool
	}{
		"older":                      {scene: scene{value: "v", written: lo - 1}, want: true},
		"in our own time":            {scene: scene{value: "v", written: lo}},
		"newer":                      {scene: scene{value: "v", written: 0}},
		"long before":                {scene: scene{value: "v", written: lo - by.Milliseconds() - 1}},
		"our own":                    {scene: scene{value: "v", written: lo - 1}, sent: true},
		"as old as an earlier own":   {scene: scene{value: "v", written: lo - 1}, own: true, want: true},
		"nothing":                    {},
		"without an end":             {scene: scene{value: "v", endless: true}},
		"no lives":                   {scene: scene{value: "v", written: lo - 1, lives: "none"}},
		"lives that make no sense":   {scene: scene{value: "v", written: lo - 1, lives: "60000"}},
		"perhaps touched":            {scene: scene{value: "v", written: lo - 1, mixed: true}, want: true},
		"a vague clock":              {scene: scene{value: "v", written: lo - 5, slack: 6}},
		"older for all of the clock": {scene: scene{value: "v", written: lo - 7, slack: 6}, want: true},
		"of another type":            {scene: scene{value: "hash", written: lo - 1}, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := b.fresh(t).noted()
			r := Replay{Key: b.key, Cond: b.cond()}
			e := b.now + tt.written + hour
			if tt.own {
				r.Own = []Range{{From: e, To: e}}
			}
			if tt.sent {
				r.Sent = []Range{{From: e, To: e}}
			}
			tt.prepare(b, r)
			older, err := b.n.Older(t.Context(), []Replay{r}, by, long)
			if err != nil || (older[0] == CertainlyOlder) != tt.want || older[0] == Unanswered {
				t.Errorf("%v, %v, want %v", older, err, tt.want)
			}
			if tt.value == "v" && b.get(b.key) != "v" {
				t.Error("it was changed")
			}
		})
	}
}

// A server that hangs, that reads its data, or that is no master for the time being may
// answer later. One that forbids the command or does not know it will not.
func TestWhoDoesNotAnswerIsWorthAskingAgain(t *testing.T) {
	for kind, want := range map[Kind]Age{
		Timeout: Unanswered, Conn: Unanswered, Loading: Unanswered, ReadOnly: Unanswered, MasterDown: Unanswered,
		OOM: Unanswered, Busy: Unanswered, Auth: Unanswered, Canceled: Unanswered, Other: Unanswered,
		NoPerm: NotOlder, Lacks: NotOlder, UnknownReply: NotOlder, Logical: NotOlder,
	} {
		if got := ageAfter(kind); got != want {
			t.Errorf("%s: %d, want %d", kind, got, want)
		}
	}
}

func TestAServerThatHangsAnswersForNoKey(t *testing.T) {
	b := startBed(t).fresh(t).noted()
	r := Replay{Key: b.key, Cond: b.cond()}
	scene{value: "v", written: lo - 1}.prepare(b, r)
	if err := b.p.Pause(); err != nil {
		t.Fatal(err)
	}
	ages, err := b.n.Older(t.Context(), []Replay{r}, time.Minute, 100*time.Millisecond)
	if err == nil || len(ages) != 1 || ages[0] != Unanswered {
		t.Errorf("%v, %v", ages, err)
	}
	if err := b.p.Resume(); err != nil {
		t.Fatal(err)
	}
}

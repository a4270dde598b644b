package revoke

import (
	"testing"
	"time"
)

func TestASetIsBelievedOnlyWithItsMarker(t *testing.T) {
	mine, old, other := marker{"p", "now"}, marker{"p", "before"}, marker{"q", "now"}
	for name, tt := range map[string]struct {
		look look
		want outlook
	}{
		"empty":               {look{}, outlook{}},
		"marked here":         {look{markers: []marker{mine}, card: 5, count: 5, counted: true}, outlook{marked: true, settled: true, whole: true}},
		"marked before":       {look{markers: []marker{old}, card: 5, count: 5, counted: true}, outlook{marked: true, whole: true}},
		"something taken out": {look{markers: []marker{mine}, card: 4, count: 5, counted: true}, outlook{marked: true, settled: true}},
		"no count":            {look{markers: []marker{mine}}, outlook{marked: true, settled: true}},
		"another secret":      {look{markers: []marker{other}}, outlook{foreign: true}},
		"both secrets":        {look{markers: []marker{mine, other}}, outlook{foreign: true}},
		"being healed":        {look{healing: true}, outlook{healing: true}},
	} {
		if got := weigh(tt.look, "p", "now"); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
	if weigh(look{markers: []marker{{"p", ""}}}, "p", "").settled {
		t.Error("settled, though the life of the dataset is not known")
	}
}

func TestAGapInTheStreamIsNoticed(t *testing.T) {
	of := func(ns ...int64) (items []item) {
		for _, n := range ns {
			items = append(items, item{number: n})
		}
		return items
	}
	for name, tt := range map[string]struct {
		last, seq int64
		items     []item
		now       int64
		ok        bool
	}{
		"nothing new":                    {5, 5, nil, 5, true},
		"the next":                       {5, 5, of(6), 6, true},
		"the next, announced":            {5, 6, of(6), 6, true},
		"several, and a stranger's":      {5, 6, of(6, 0, 7), 7, true},
		"announced and missing":          {5, 6, nil, 5, false},
		"one is missing":                 {5, 5, of(7), 5, false},
		"the numbers have begun again":   {5, 1, of(1), 5, false},
		"they begin again while we wait": {5, 5, of(1), 5, false},
		"the last is missing":            {5, 8, of(6, 7), 7, false},
	} {
		if now, ok := follows(tt.last, tt.seq, tt.items); now != tt.now || ok != tt.ok {
			t.Errorf("%s: %d, %v", name, now, ok)
		}
	}
}

func TestWhatIsDoneAboutASet(t *testing.T) {
	sound := outlook{marked: true, settled: true, whole: true}
	unsettled := outlook{marked: true, whole: true}
	for name, tt := range map[string]struct {
		session session
		outlook outlook
		known   bool
		waited  time.Duration
		want    step
	}{
		"all is well":                      {session{complete: true}, sound, true, 0, goOn},
		"marked after the snapshot":        {session{}, sound, false, time.Hour, startAgain},
		"emptied":                          {session{complete: true}, outlook{}, true, 0, startAgain},
		"promoted, no claim yet":           {session{complete: true}, unsettled, true, time.Hour, startAgain},
		"promoted, claimed":                {session{complete: true, claim: "c"}, unsettled, true, 2 * time.Second, goOn},
		"promoted, claimed, waited":        {session{complete: true, claim: "c"}, unsettled, true, 3 * time.Second, markIt},
		"promoted, claimed, fresh":         {session{complete: true, claim: "c"}, unsettled, false, 4 * time.Second, goOn},
		"promoted, claimed, fresh, waited": {session{complete: true, claim: "c"}, unsettled, false, 5 * time.Second, markIt},
		"never marked, we know":            {session{claim: "c"}, outlook{whole: true}, true, 3 * time.Second, markIt},
		"first use":                        {session{claim: "c"}, outlook{whole: true}, false, 5 * time.Second, markIt},
		"another secret":                   {session{claim: "c"}, outlook{foreign: true}, false, time.Hour, goOn},
	} {
		s := tt.session
		s.List = &List{policy: Policy{}.withDefaults()}
		if got := s.next(tt.outlook, tt.known, tt.waited); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
		s.policy.NoFirstUse = true
		if got := s.next(tt.outlook, tt.known, tt.waited); name == "first use" && got != goOn {
			t.Errorf("%s, forbidden: %v", name, got)
		}
	}
	s := session{List: &List{policy: Policy{NoFirstUse: true}.withDefaults()}, claim: "c"}
	if got := s.next(outlook{whole: true}, false, s.policy.MaxLife); got != markIt {
		t.Errorf("after the longest life of a token: %v", got)
	}
}

func TestOldKnowledgeIsUnknown(t *testing.T) {
	for name, tt := range map[string]struct {
		held, usable bool
		asOf, now    time.Duration
		decision     Decision
		want         Status
		allowed      bool
	}{
		"revoked":              {true, true, 0, time.Hour, Allow, Revoked, false},
		"never knew":           {false, true, 0, time.Hour, Deny, Unknown, false},
		"never knew, allow":    {false, true, 0, time.Hour, Allow, Unknown, true},
		"knows":                {false, true, time.Minute, time.Minute + 15*time.Second, Deny, NotRevoked, true},
		"knew":                 {false, true, time.Minute, time.Minute + 16*time.Second, Deny, Unknown, false},
		"nothing asked, allow": {false, false, time.Minute, time.Minute, Allow, Unknown, false},
	} {
		p := Policy{OnUnknown: tt.decision}.withDefaults()
		if got, allowed := p.judge(tt.held, tt.usable, int64(tt.asOf), int64(tt.now)); got != tt.want || allowed != tt.allowed {
			t.Errorf("%s: %v, %v", name, got, allowed)
		}
	}
}

package history

import (
	"strings"
	"testing"
	"time"
)

func TestWhatASentinelPublishesIsToldInPlainWords(t *testing.T) {
	const replica = "slave 10.0.0.2:6379 10.0.0.2 6379 @ shop 10.0.0.1 6379"
	for _, tt := range []struct{ channel, message, want string }{
		{"+sdown", "master shop 10.0.0.1 6379", "holds the master 10.0.0.1:6379 down: it does not answer"},
		{"+sdown", "sentinel 4f2b 10.0.0.9 26379 @ shop 10.0.0.1 6379", "holds the sentinel 10.0.0.9:26379 down: it does not answer"},
		{"-sdown", replica, "hears the replica 10.0.0.2:6379 again"},
		{"+odown", "master shop 10.0.0.1 6379 #quorum 2/2", "knows that enough others hold the master 10.0.0.1:6379 down, too"},
		{"+new-epoch", "7", "is in epoch 7"},
		{"+try-failover", "master shop 10.0.0.1 6379", "wants to replace the master 10.0.0.1:6379, and asks for votes"},
		{"+elected-leader", "master shop 10.0.0.1 6379", "has the votes: it leads the failover"},
		{"+selected-slave", replica, "has chosen the replica 10.0.0.2:6379"},
		{"+promoted-slave", replica, "sees that the replica 10.0.0.2:6379 has become master"},
		{"-role-change", replica + " new reported role is master", "sees that the replica 10.0.0.2:6379 has another role than it should have"},
		{"+switch-master", "shop 10.0.0.1 6379 10.0.0.2 6379", "names 10.0.0.2:6379 as master, in place of 10.0.0.1:6379"},
		{"-failover-abort-not-elected", "master shop 10.0.0.1 6379", "has given up: it did not get the votes"},
		{"+tilt", "#tilt mode entered", "is in TILT mode: its clock jumped or it was stopped. It takes no action for 30 s"},
		{"+convert-to-slave", replica, "tells the replica 10.0.0.2:6379 to be a replica"},
		{"+slave", replica, "has found the replica 10.0.0.2:6379"},
		{"+slave-reconf-done", replica, "sees that the replica 10.0.0.2:6379 follows the new master"},
		{"+reset-master", "master shop 10.0.0.1 6379", "has forgotten the replicas and sentinels of the master 10.0.0.1:6379 (RESET)"},
		{"+sentinel", "sentinel 4f2b ::1 26379 @ shop 10.0.0.1 6379", "has found the sentinel [::1]:26379"},

		{"+set", "master shop 10.0.0.1 6379 auth-pass hush-hush", ""}, // it may hold a secret
		{"+sdown", "master other 10.0.0.1 6379", ""},                  // not ours
		{"+slave", "slave 10.0.0.2:6379 10.0.0.2 6379 @ other 10.0.0.1 6379", ""},
		{"+switch-master", "other 10.0.0.1 6379 10.0.0.2 6379", ""},
		{"+sdown", "master shop", ""},
		{"+slave", "slave x \x1b[2J 6379 @ shop 10.0.0.1 6379", ""},
		{"__sentinel__:hello", "10.0.0.1,26379,4f2b,1,shop,10.0.0.1,6379,0", ""},
		{"anything", "", ""},
	} {
		got, ok := Words("shop", tt.channel, tt.message)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s %s: %q, %v; want %q", tt.channel, tt.message, got, ok, tt.want)
		}
	}
}

func FuzzWords(f *testing.F) {
	for channel := range plainWords {
		f.Add(channel, "master shop 10.0.0.1 6379")
	}
	for channel := range otherWords {
		f.Add(channel, "slave 10.0.0.2:6379 10.0.0.2 6379 @ shop 10.0.0.1 6379")
	}
	f.Add("+switch-master", "shop 10.0.0.1 6379 10.0.0.2 6379")
	f.Fuzz(func(t *testing.T, channel, message string) {
		text, ok := Words("shop", channel, message)
		if ok == (text == "") {
			t.Errorf("%q %q: %q, %v", channel, message, text, ok)
		}
		if len(text) > 1000 || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			t.Errorf("%q %q: %q", channel, message, text)
		}
		var tr Tracker
		tr.Name = "shop"
		if events, told := tr.Hear(time.Unix(1, 0), "10.0.0.9:26379", channel, message); told != (len(events) > 0) {
			t.Errorf("%q %q: %v, %v", channel, message, events, told)
		}
	})
}

func TestEachLineTellsHowLongAfterTheFirstSignItWas(t *testing.T) {
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	tr := Tracker{Name: "shop"}
	for _, step := range []struct {
		after            time.Duration
		channel, message string
		since            int64 // -1: none
		lines            int
	}{
		{0, "+sentinel", "sentinel 4f2b 10.0.0.9 26379 @ shop 10.0.0.1 6379", -1, 1},
		{0, "+slave", "slave 10.0.0.2:6379 10.0.0.2 6379 @ shop 10.0.0.1 6379", -1, 1},
		{time.Second, "+sdown", "slave 10.0.0.2:6379 10.0.0.2 6379 @ shop 10.0.0.1 6379", -1, 1},
		{2 * time.Second, "+sdown", "master shop 10.0.0.1 6379", 0, 1},
		{2100 * time.Millisecond, "+try-failover", "master shop 10.0.0.1 6379", 100, 1},
		{3 * time.Second, "+switch-master", "shop 10.0.0.1 6379 10.0.0.2 6379", 1000, 2}, // and who was first
		{3 * time.Second, "+slave", "slave 10.0.0.3:6379 10.0.0.3 6379 @ shop 10.0.0.2 6379", -1, 0},
		{4 * time.Second, "+switch-master", "shop 10.0.0.1 6379 10.0.0.2 6379", 2000, 1},
		{50 * time.Second, "-sdown", "slave 10.0.0.1:6379 10.0.0.1 6379 @ shop 10.0.0.2 6379", -1, 1},
		{60 * time.Second, "+try-failover", "master shop 10.0.0.2 6379", 0, 1},
		{61 * time.Second, "+switch-master", "shop 10.0.0.2 6379 10.0.0.1 6379", 1000, 2},
	} {
		events, _ := tr.Hear(at.Add(step.after), "10.0.0.9:26379", step.channel, step.message)
		if len(events) != step.lines {
			t.Fatalf("after %v, %s: %d lines, want %d", step.after, step.channel, len(events), step.lines)
		}
		for _, e := range events {
			if got := e.SinceMs; (got == nil) != (step.since < 0) || got != nil && *got != step.since {
				t.Errorf("after %v, %s: since %v, want %d", step.after, step.channel, got, step.since)
			}
		}
		if step.lines == 2 && !strings.Contains(events[1].Line(), "+1.00s  sentinel 10.0.0.9:26379  is the first to name the next master, ") {
			t.Errorf("%s", events[1].Line())
		}
	}
}

func TestWhatIsSeenIsTimedFromTheFirstTrouble(t *testing.T) {
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	var tr Tracker
	for _, step := range []struct {
		after   time.Duration
		texts   []string
		trouble bool
		since   int64 // -1: none
	}{
		{0, nil, true, -1}, // it was there before
		{time.Second, []string{"a does not answer"}, true, 0},
		{3 * time.Second, []string{"b is master", "all slots have a master again"}, true, 2000},
		{9 * time.Second, []string{"a answers again"}, false, 8000},
		{20 * time.Second, []string{"c is named"}, false, -1},
	} {
		events := tr.See(at.Add(step.after), step.texts, step.trouble)
		if len(events) != len(step.texts) {
			t.Fatalf("after %v: %v", step.after, events)
		}
		for _, e := range events {
			if (e.SinceMs == nil) != (step.since < 0) || e.SinceMs != nil && *e.SinceMs != step.since {
				t.Errorf("after %v: %s", step.after, e.Line())
			}
			if strings.Contains(e.Line(), "sentinel") {
				t.Errorf("no sentinel has said: %s", e.Line())
			}
		}
	}
}

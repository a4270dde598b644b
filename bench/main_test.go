package main

import (
	"strings"
	"testing"
	"time"
)

func TestTheCommandLineListsEveryMistake(t *testing.T) {
	_, err := parse([]string{"-repeat", "0", "-duration", "0s", "-keys", "1", "-only", "[", "-tables", "hit,miss"})
	for _, want := range []string{"-repeat", "-duration", "-keys", "-only", `no table "miss"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
}

func TestThePageSetsWhatTheCommandLineDoesNot(t *testing.T) {
	o, err := parse([]string{"-page", "-repeat", "3"})
	if err != nil {
		t.Fatal(err)
	}
	if o.repeat != 3 || o.length != pageDuration || len(o.suites) < 8 || !o.only.MatchString("hit/1/otter Get with loader, TTL") || o.only.MatchString("read/1/go-redis GET") {
		t.Errorf("%d times %v, %d tables", o.repeat, o.length, len(o.suites))
	}
}

func TestThePageHasALineForEachSubject(t *testing.T) {
	spent := func(level int, name string, client time.Duration) cell {
		return cell{Table: "read", Level: level, Subject: name, Samples: []sample{{CPUPerOp: client * time.Microsecond}}}
	}
	var b strings.Builder
	reads.lines(&b, []cell{spent(1, "ours", 10), spent(1, "theirs", 9), spent(16, "ours", 4), spent(16, "theirs", 5)})
	want := "| read | ours | 10.0 | – | 4.00 | – |\n| read | theirs | 0.90 | – | 1.25 | – |\n"
	if got := b.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestTablesAreTakenInTheOrderGiven(t *testing.T) {
	for list, want := range map[string]string{"": "hit read write", "set, delete,fill": "set delete fill", "cluster-write,cluster-read": "cluster-write cluster-read"} {
		var args []string
		if list != "" {
			args = []string{"-tables", list}
		}
		o, err := parse(args)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, s := range o.suites {
			names = append(names, s.name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%q: %q, want %q", list, got, want)
		}
	}
}

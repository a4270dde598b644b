package main

import (
	"strings"
	"testing"
)

func TestTheCommandLineListsEveryMistake(t *testing.T) {
	_, err := parse([]string{"-repeat", "0", "-duration", "0s", "-keys", "1", "-only", "[", "-tables", "hit,miss"})
	for _, want := range []string{"-repeat", "-duration", "-keys", "-only", `no table "miss"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
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

package main

import (
	"strings"
	"testing"
	"time"
)

func TestARowIsPerSecond(t *testing.T) {
	at := time.Unix(1000, 0)
	a := counts{at: at, master: map[string]float64{"set": 10, "info": 5, "ping": 3}}
	b := counts{
		at: at.Add(2 * time.Second), cpu: 30 * time.Millisecond, writes: 20, announced: 180, output: 4096, masterCPU: 0.05, replicas: 8, sentinels: 12,
		master: map[string]float64{"set": 50, "info": 9, "ping": 3, "wait": 1},
	}
	r := row{clients: 10, phase: "one writes"}
	r.between(a, b)
	if r.cpu != 15 || r.writes != 10 || r.announced != 90 || r.replica != 2 || r.sentinel != 2 || r.commands() != 22.5 || r.most() != "set 20.0, info 2.0, wait 0.5" {
		t.Errorf("%+v, %v, %q", r, r.commands(), r.most())
	}
	alone := row{phase: "idle", masterCPU: 5, master: map[string]float64{"ping": 2.5}}
	if got := table([]row{alone, r}); !strings.Contains(got, "| 10 | one writes | 15.0 | 22.5 | 1.0 | set 20.0, info 2.0, wait 0.5 | 25.0 | 2.000 | 2.0 | 2.0 | 2.0 | 10.0 | 9.00 |") {
		t.Errorf("table\n%s", got)
	}
}

func TestANumberEndsWhereItsDigitsDo(t *testing.T) {
	for text, want := range map[string]float64{"17,usec=4": 17, "": 0, "x": 0, "250\r\n": 250} {
		if got := number(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestTheCommandLineListsEveryMistake(t *testing.T) {
	_, err := parse([]string{"-clients", "1,many", "-duration", "1ms", "-writes", "0"})
	for _, want := range []string{"many", "-duration", "-writes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
}

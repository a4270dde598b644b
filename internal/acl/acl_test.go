package acl

import (
	"fmt"
	"testing"
	"time"
)

func TestKeysArePutInPlace(t *testing.T) {
	command := []string{"XREAD", "COUNT", "1", "STREAMS", "N", "K", "0"}
	if got := fmt.Sprint(Words(command, "~b:1")); got != "[XREAD COUNT 1 STREAMS ~b:1:none ~b:1 0]" {
		t.Error(got)
	}
	if command[4] != "N" {
		t.Error("the command itself was changed")
	}
	if got := Words([]string{"N"}, "~b:1"); got[0] != "N" {
		t.Errorf("the command's name became %s", got)
	}
}

func TestACommandThatIsForbiddenIsToldFromAKey(t *testing.T) {
	for reply, want := range map[string]bool{
		"NOPERM this user has no permissions to run the 'get' command":                          true,
		"NOPERM User app has no permissions to run the 'get' command":                           true,
		"NOPERM this user has no permissions to access one of the keys used as arguments":       false,
		"ERR unknown command 'get', did you want to run the 'set' command":                      false,
		"LOADING Redis is loading the dataset in memory":                                        false,
		"READONLY You can't write against a read only replica.":                                 false,
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.":      false,
		"NOAUTH Authentication required.":                                                       false,
		"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE": false,
	} {
		if got := Forbids(reply); got != want {
			t.Errorf("%s: %v", reply, got)
		}
	}
}

// A command at which connections end costs two of them, and the others none.
func TestACommandRestsAfterTwoCuts(t *testing.T) {
	var c Cuts
	now := time.Now()
	ask := func(batch ...string) bool {
		now = now.Add(time.Second)
		return c.Begin(now, batch...)
	}
	if !ask("GET", "PTTL") || !ask("SCAN") {
		t.Fatal("the first is not asked")
	}
	c.End("GET", "PTTL") // the connection ends at SCAN
	if !ask("GET", "PTTL") {
		t.Error("what was answered is not asked again")
	}
	c.End("GET", "PTTL")
	if !ask("SCAN") {
		t.Error("one cut is enough: the server may just have been killed")
	}
	if ask("TIME", "SCAN") || !ask("GET") {
		t.Error("after two cuts the command does not rest, or others do too")
	}
	if !ask("TIME") {
		t.Error("a batch that was not asked counts")
	}
	if now = now.Add(Rest); !ask("SCAN") {
		t.Error("it is never asked again")
	}
	if ask("SCAN") {
		t.Error("it does not rest after a third cut")
	}
	c.End("SCAN")
	for range 2 {
		if !ask("SCAN") {
			t.Error("an answer does not count")
		}
	}
	if none := (*Cuts)(nil); !none.Begin(now, "GET") {
		t.Error("nil remembers")
	} else {
		none.End("GET")
	}
}

package remote

import (
	"maps"
	"regexp"
	"slices"
	"testing"
)

// What our scripts call is asked for at each dial, or a script would fail, or
// take an error for an answer, when somebody's write is in it.
func TestEveryCommandOfAScriptIsAskedForAtADial(t *testing.T) {
	called := map[string]bool{}
	for _, s := range []*lua{scriptMark, scriptDelete, scriptFill, scriptRestore, scriptInvalidate, scriptTouch, scriptSet, scriptExpire, scriptTrace, scriptUnlink, scriptLife, scriptTomb, scriptBury, anchoredScripts[scriptFill], anchoredScripts[scriptRestore]} {
		for _, m := range regexp.MustCompile(`redis\.p?call\('([A-Z]+)'`).FindAllStringSubmatch(s.text, -1) {
			called[m[1]] = true
		}
	}
	delete(called, "PEXPIRETIME")                                                         // Redis 6.2 has none: luaEnds does without
	for _, command := range []string{"UNLINK", "HMGET", "HRANDFIELD", "HDEL", "STRLEN"} { // the scripts do without
		delete(called, command)
	}
	for _, command := range slices.Sorted(maps.Keys(called)) {
		if !slices.Contains(scriptCommands, command) {
			t.Errorf("%s is not in scriptCommands", command)
		}
	}
}

func TestTheNameOfAMissingCommandIsRead(t *testing.T) {
	for text, want := range map[string]string{
		"unknown command 'FOO', with args beginning with: 'x'": "FOO",
		"unknown command `foo`, with args beginning with: ":    "FOO",
		"ERR unknown command":                           "",
		"ERR unknown command '\x1b[1m'":                 "",
		"ERR unsupported command 'Wait'":                "WAIT",
		"ERR Command is not available: 'CLIENT'. See …": "CLIENT",
		"ERR something else":                            "",
	} {
		if got := commandIn(text); got != want {
			t.Errorf("%q names %q, want %q", text, got, want)
		}
	}
}

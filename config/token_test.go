package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	longA = "0123456789abcdef"
	longB = "fedcba9876543210"
)

// reveal is what a token is, or are.
func reveal(t Token) string {
	var all []string
	for _, v := range t.Values {
		all = append(all, v.Reveal())
	}
	return strings.Join(all, " ")
}

func TestTwoTokensAreValidAtATime(t *testing.T) {
	f := memory{"/two": "!" + longA + "\r\n" + longB + "\n", "/one": "!" + longB}
	cfg := acceptWith(t, f, "EVERCACHE_TOKEN="+longA+" "+longB, "EVERCACHE_READ_TOKEN_FILE=/two", "EVERCACHE_WRITE_TOKEN="+longA,
		"EVERCACHE_REVOKE_TOKEN_FILE=/one", "EVERCACHE_METRICS_TOKEN=\t"+longB+"\n"+longA)
	got := cfg.Server.Tokens
	for name, tt := range map[string][2]string{
		"all": {reveal(got.All), longA + " " + longB}, "read": {reveal(got.Read), longA + " " + longB}, "write": {reveal(got.Write), longA},
		"revoke": {reveal(got.Revoke), longB}, "metrics": {reveal(got.Metrics), longB + " " + longA},
		"files": {got.All.File + got.Read.File + got.Revoke.File, "/two/one"},
	} {
		if tt[0] != tt[1] {
			t.Errorf("%s: %q, want %q", name, tt[0], tt[1])
		}
	}
	if p := printed(cfg); strings.Contains(p, longA) || strings.Contains(p, longB) {
		t.Error("a token is printed")
	}
	if accept(t).Server.Tokens.Any() || !got.Any() {
		t.Error("Any is wrong")
	}
}

func TestATokenThatIsNoneIsAFault(t *testing.T) {
	f := memory{"/short": "!abc", "/three": "!" + longA + "\n" + longA + "\n" + longB, "/spaces": "! \t "}
	const short, three, sign = " is shorter than 16 bytes; ", " has more than 2 parts; ", " holds a sign that no Authorization header can carry; "
	for _, n := range tokenNames {
		expectLines(t, refuse(t, n.name+"=abc"), n.name+": the value"+short+tokenFix)
		expectLines(t, refuse(t, n.name+"="+longA+" abc"), n.name+": the value"+short+tokenFix)
		expectLines(t, refuse(t, n.name+"="+longA+" "+longA+" "+longB), n.name+": the value"+three+tokenFix)
		expectLines(t, refuse(t, n.name+"="+longA+"é"), n.name+": the value"+sign+tokenFix)
		expectLines(t, refuse(t, n.name+"="+strings.Repeat("x", mostToken+1)), n.name+": the value is longer than 4096 bytes; "+tokenFix)
		expectLines(t, refuseWith(t, f, n.name+"_FILE=/short"), n.name+"_FILE: the token in the file"+short+tokenFix)
		expectLines(t, refuseWith(t, f, n.name+"_FILE=/three"), n.name+"_FILE: the token in the file"+three+tokenFix)
		expectLines(t, refuseWith(t, f, n.name+"_FILE=/spaces"), n.name+"_FILE: the token in the file is empty; "+tokenFix)
		expectLines(t, refuseWith(t, f, n.name+"="+longA, n.name+"_FILE=/short"), n.name+"_FILE: "+n.name+" is set too; give one of them")
		// Any of them is enough to be reached from elsewhere.
		expectCodes(t, accept(t, "EVERCACHE_LISTEN=:3000", n.name+"="+longA))
	}
}

func TestATokenFileIsReadAsAtTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	for content, want := range map[string]string{
		longA + "\n": longA, longA + "\n" + longB: longA + " " + longB, "": "", "abc": "", longA + " x": "",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		values, err := ReadTokens(path)
		if got := reveal(Token{Values: values}); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", content, got, err)
		}
		if err != nil && (strings.Contains(err.Error(), path) || strings.Contains(err.Error(), longA)) {
			t.Errorf("%q: the error tells too much: %v", content, err)
		}
	}
}

func TestTheKeyOfTheDenylist(t *testing.T) {
	f := memory{"/key": "!" + longA + " " + longB + "\n", "/short": "!abc"}
	if got := acceptWith(t, f, "EVERCACHE_REVOCATIONS_KEY_FILE=/key").Server.RevocationsKey.Reveal(); got != longA+" "+longB {
		t.Errorf("from a file: %q", got)
	}
	cfg := accept(t, "EVERCACHE_REVOCATIONS_KEY="+longA)
	if cfg.Server.RevocationsKey.Reveal() != longA || strings.Contains(printed(cfg), longA) {
		t.Error("the key is lost, or printed")
	}
	const fix = " is shorter than 16 bytes; use 16 or more random bytes, such as the output of: openssl rand -hex 32"
	expectLines(t, refuse(t, "EVERCACHE_REVOCATIONS_KEY=abc"), "EVERCACHE_REVOCATIONS_KEY: the value"+fix)
	expectLines(t, refuseWith(t, f, "EVERCACHE_REVOCATIONS_KEY_FILE=/short"), "EVERCACHE_REVOCATIONS_KEY_FILE: the key in the file"+fix)
	expectLines(t, refuseWith(t, f, "EVERCACHE_REVOCATIONS_KEY="+longA, "EVERCACHE_REVOCATIONS_KEY_FILE=/key"),
		"EVERCACHE_REVOCATIONS_KEY_FILE: EVERCACHE_REVOCATIONS_KEY is set too; give one of them")
}

package remote

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// Each command that a cache sends, or that its scripts run, is named where the ACL
// forbids it, and no other is.
func TestEachCommandThatTheACLForbidsIsNamed(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	for i, words := range trials {
		command, user := words[0], fmt.Sprint("app", i)
		ask(t, p, "ACL", "SETUSER", user, "on", ">one", "~*", "&*", "+@all", "-"+strings.ToLower(command))
		n := dialWith(t, as(p, user), nil)
		askAll(t, n)
		want := fmt.Sprint([]Missing{{command, true}})
		if got := fmt.Sprint(n.Missing()); got != want {
			t.Errorf("without %s: %s, want %s", command, got, want)
		}
		n.Abandon()
	}
}

// With all rights no trial leaves anything, and none is an error of the ACL.
func TestAskingForRightsChangesNothing(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	n := dial(t, p.Addr(), nil)
	before := fmt.Sprint(ask(t, p, "DBSIZE"))
	askAll(t, n)
	if got := n.Missing(); len(got) > 0 || !n.rights.asked.After(time.Now().Add(-time.Minute)) {
		t.Errorf("missing: %v", got)
	}
	if after := fmt.Sprint(ask(t, p, "DBSIZE")); after != before {
		t.Errorf("%s keys, before that %s", after, before)
	}
	wantClosed(t, n)
}

// A right that is given or taken away later is noticed.
func TestAChangedACLIsNoticedOnALivingConnection(t *testing.T) {
	p := startRedis(t, redisproc.Options{})
	ask(t, p, "ACL", "SETUSER", "app", "on", ">one", "~*", "&*", "+@all", "-get")
	n := dialWith(t, as(p, "app"), nil)
	for _, rule := range []string{"+get", "-hget"} {
		ask(t, p, "ACL", "SETUSER", "app", rule)
		n.rights.asked = time.Time{}
		for range len(trials)/rightsAtOnce + 1 {
			if _, err := n.Barrier(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
		}
		want := map[string]string{"+get": "[]", "-hget": "[{HGET true}]"}[rule]
		if got := fmt.Sprint(n.Missing()); got != want {
			t.Errorf("after %s: %s, want %s", rule, got, want)
		}
	}
}

// askAll asks for all rights at once.
func askAll(t *testing.T, n *Node) {
	t.Helper()
	n.rights.asked = time.Time{}
	n.askRights(t.Context())
	for range 20 * len(trials) { // on a busy machine some answers come too late
		if len(n.rights.round) == 0 {
			break
		}
		n.askRights(t.Context())
	}
	if len(n.rights.round) > 0 {
		t.Errorf("%d were not asked for", len(n.rights.round))
	}
}

// Between the rounds only what is denied is asked for again.
func TestOnlyWhatIsDeniedIsAskedForOften(t *testing.T) {
	var r rights
	now := time.Now()
	r.dialed(now)
	if few := r.next(now); len(few) > 0 {
		t.Errorf("at the dial: %v", few)
	}
	all := 0
	for now = now.Add(rightsFirst); ; now = now.Add(time.Millisecond) {
		few := r.next(now)
		if len(few) == 0 {
			break
		}
		if len(few) > rightsAtOnce {
			t.Errorf("%d at once", len(few))
		}
		for _, i := range few {
			r.heard(i, i == 3)
		}
		all += len(few)
	}
	if all != len(trials) {
		t.Errorf("%d of %d", all, len(trials))
	}
	if few := r.next(now.Add(rightsAgain)); fmt.Sprint(few) != "[3]" {
		t.Errorf("again: %v", few)
	}
	r.heard(3, false)
	if few := r.next(now.Add(2 * rightsAgain)); len(few) > 0 {
		t.Errorf("nothing is denied: %v", few)
	}
}

func as(p *redisproc.Process, user string) Config {
	c := config(p.Addr())
	c.Username, c.Password = user, "one"
	return c
}

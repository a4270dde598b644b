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
	n.rights.asked = time.Time{}
	n.askRights(t.Context())
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
		if _, err := n.Barrier(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"+get": "[]", "-hget": "[{HGET true}]"}[rule]
		if got := fmt.Sprint(n.Missing()); got != want {
			t.Errorf("after %s: %s, want %s", rule, got, want)
		}
	}
}

func as(p *redisproc.Process, user string) Config {
	c := config(p.Addr())
	c.Username, c.Password = user, "one"
	return c
}

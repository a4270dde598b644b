package revoke_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

func TestARevocationIsToldThroughAServerThatLacksACommand(t *testing.T) {
	for _, command := range []string{"TIME", "INFO", "ROLE", "WAIT", "EVALSHA", "HELLO", "CLIENT"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, redistest.WithConfig(fmt.Sprintf(`rename-command %s ""`, command)))
			ps := startAll(t, 2, single(s), revoke.Policy{})
			ps[0].revoke("a")
			eventually(t, 20*time.Second, "told", func() bool { return ps[1].status("a") == revoke.Revoked })
			eventually(t, 20*time.Second, "known", func() bool { return ps[1].status("b") == revoke.NotRevoked })
		})
	}
}

func TestAServerThatLacksWhatTheDenylistNeedsIsNamed(t *testing.T) {
	s := redistest.Start(t, redistest.WithConfig(`rename-command ZADD ""`, `rename-command EVAL ""`))
	p := start(t, single(s), revoke.Policy{})
	_, _ = p.Revoke(t.Context(), "a", inAnHour())
	eventually(t, 30*time.Second, "a finding names the command", func() bool {
		return slices.ContainsFunc(p.client.Health().Findings, func(f health.Finding) bool {
			return strings.HasPrefix(f.Code, "revocations-") && strings.Contains(f.Fix, "EVAL")
		})
	})
	if p.status("a") != revoke.Revoked {
		t.Error("it is not in force here")
	}
}

// Each command of the denylist is named where the ACL forbids it, with what is lost and
// the rule that allows it.
func TestEachCommandOfTheDenylistThatTheACLForbidsIsNamed(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for i, command := range revoke.Commands() {
		user := fmt.Sprint("app", i)
		s.Do("ACL", "SETUSER", user, "on", ">one", "~*", "&*", "+@all", "-"+strings.ToLower(command))
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			o := single(s)
			o.Username, o.Password = user, "one"
			p := start(t, o, revoke.Policy{Namespace: strings.ToLower(command), AckTimeout: 100 * time.Millisecond})
			_, _ = p.Revoke(t.Context(), "a", inAnHour())
			eventually(t, 30*time.Second, "a finding names the command", func() bool {
				return slices.ContainsFunc(p.client.Health().Findings, func(f health.Finding) bool {
					return f.Code == "revocations-forbidden" && strings.HasSuffix(f.Title, ": "+command) &&
						strings.HasPrefix(f.Detail, command+": ") && strings.Contains(f.Fix, "+"+strings.ToLower(command)+")")
				})
			})
		})
	}
}

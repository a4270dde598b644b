package switchover

import (
	"context"
	"strings"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/acl"
	"github.com/evercache/evercache/internal/survey"
)

// nothing is the name of what no server has: a master, a setting, an option. A command about it changes nothing.
const nothing = "evercache-asks-for-its-rights"

// AskRights refuses the plan where an ACL forbids a command that it takes. Each command is sent in a form that the
// server refuses for another reason, so it changes nothing. A server that does not answer is not asked again.
func (p *Plan) AskRights(ctx context.Context, t survey.Target) {
	if len(p.Refusals) > 0 {
		return
	}
	switch p.Method {
	case InCluster:
		p.forbidden(ctx, node(t, p.replicas[0]), "REDIS_USERNAME, REDIS_PASSWORD", []string{"CLUSTER", "FAILOVER", nothing})
		return
	case Paused:
		p.forbidden(ctx, node(t, p.master), "REDIS_USERNAME, REDIS_PASSWORD",
			[]string{"CLIENT", "PAUSE", nothing, "WRITE"}, []string{"CLIENT", "KILL", "TYPE", nothing}, []string{"REPLICAOF", "NO", nothing})
	}
	for _, n := range p.replicas {
		if n.Addr == p.To && p.priority != 0 {
			p.forbidden(ctx, node(t, n), "REDIS_USERNAME, REDIS_PASSWORD", []string{"CONFIG", "SET", nothing, "1"})
		}
	}
	for _, w := range p.sentinels {
		if p.forbidden(ctx, sentinel(t, w), "REDIS_SENTINEL_USERNAME, REDIS_SENTINEL_PASSWORD", []string{"SENTINEL", "FAILOVER", nothing}) {
			return // the first one that answers gets the order
		}
	}
}

// FailoverForbidden says who forbids us, by its ACL, to begin a planned failover of the set: SENTINEL FAILOVER, in a
// Cluster CLUSTER FAILOVER. Nothing is changed.
func FailoverForbidden(ctx context.Context, t survey.Target, s *survey.Survey) []string {
	var p Plan
	for _, w := range s.Sentinels {
		if w.Monitors() {
			p.sentinels = append(p.sentinels, w)
		}
	}
	if s.Mode == health.ModeCluster {
		p.Method = InCluster
		for _, n := range s.Nodes {
			if n.Fault == nil && n.Role.Linked() {
				p.replicas = append(p.replicas, n)
			}
		}
		if len(p.replicas) == 0 {
			return nil // that is told elsewhere
		}
	}
	p.AskRights(ctx, t)
	return p.Refusals
}

// forbidden asks one server, and reports whether it has answered. login are the settings by which we log in there.
func (p *Plan) forbidden(ctx context.Context, s *server, login string, commands ...[]string) (answered bool) {
	defer s.close()
	replies, err := s.ask(ctx, commands...)
	if replies == nil {
		return err == nil
	}
	var denied []string
	for i, r := range replies {
		if r.Err != nil && acl.Forbids(r.Err.Error()) {
			denied = append(denied, strings.TrimSuffix(commandName(commands[i]), " NO"))
		}
	}
	if len(denied) > 0 {
		p.refuse("%s: the ACL forbids %s to our user: allow it, or log in as another one (%s)", s.addr, strings.Join(denied, ", "), login)
	}
	return true
}

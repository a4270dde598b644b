package remote

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache/internal/censor"
)

// Evictions is what a server says of the keys that it evicts.
type Evictions struct {
	// Never: it evicts nothing. Its policy is noeviction, or its memory has no bound.
	Never bool
	// Policy is its maxmemory-policy; "": not known.
	Policy string
	// MaxMemory is its maxmemory in bytes; 0: none, or not known.
	MaxMemory uint64
	// Run is the run that the counters belong to; "": they are not known.
	Run string
	// Keys were evicted in this run, and Commands executed. CONFIG RESETSTAT lets
	// both begin anew.
	Keys, Commands uint64
	// Clients is how many connections it has, Rate how many commands a second it executes;
	// 0: not known.
	Clients, Rate uint64
}

// Proves reports whether no key was evicted between was and e, which came later.
func (e Evictions) Proves(was Evictions) bool {
	switch {
	case was.Run == "" || was.Run != e.Run: // what a run did after its last word nobody knows
		return was.Never && e.Never
	case e.Keys > was.Keys:
		return false
	case e.Keys < was.Keys || e.Commands < was.Commands:
		return was.Never && e.Never
	}
	return true
}

// evictionSections are asked one by one: before version 7 INFO takes only one.
var evictionSections = []string{"server", "stats", "memory", "clients"}

// Evictions asks what the server has evicted: INFO, else CONFIG. It is no error when
// the server does not tell, as where the ACL forbids both.
func (n *Node) Evictions(ctx context.Context, limit time.Duration) (Evictions, error) {
	c, bounded, cancel := n.begin(ctx, "info", limit)
	c.limit = 0
	defer cancel()
	e, err := n.askEvictions(bounded)
	return e, c.end(ctx, err)
}

// askEvictions asks on the heartbeat's connection, which no large reply holds up.
func (n *Node) askEvictions(ctx context.Context) (Evictions, error) {
	cmds := make([]rueidis.Completed, len(evictionSections))
	for i, s := range evictionSections {
		cmds[i] = n.beat.B().Info().Section(s).Build()
	}
	var text strings.Builder
	for _, r := range n.beat.DoMulti(ctx, cmds...) {
		if err := r.NonRedisError(); err != nil {
			return Evictions{}, err
		}
		s, err := r.ToString()
		if k := KindOf(err); k.Outage() && !k.Refused() {
			return Evictions{}, err
		}
		text.WriteString(s + "\n")
	}
	e := parseEvictions(text.String())
	if e.Policy == "" {
		return n.askPolicy(ctx, e)
	}
	return e, nil
}

// askPolicy asks CONFIG, where INFO does not tell. Whatever it answers is no error.
func (n *Node) askPolicy(ctx context.Context, e Evictions) (Evictions, error) {
	r := n.beat.Do(ctx, n.beat.B().Arbitrary("CONFIG", "GET", "maxmemory*").Build())
	if err := r.NonRedisError(); err != nil && !IsNil(err) {
		return e, err
	}
	settings, err := r.AsStrMap()
	if err != nil {
		return e, nil
	}
	e.Policy = censor.Text(settings["maxmemory-policy"], maxSaid)
	e.Never = evictsNever(e.Policy, settings["maxmemory"])
	e.MaxMemory, _ = strconv.ParseUint(settings["maxmemory"], 10, 64)
	return e, nil
}

func evictsNever(policy, maxmemory string) bool {
	bound, err := strconv.ParseUint(maxmemory, 10, 64)
	return policy == "noeviction" || err == nil && bound == 0
}

// parseEvictions reads the answers to INFO.
func parseEvictions(info string) (e Evictions) {
	fields := map[string]string{}
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	e.Policy = fields["maxmemory_policy"]
	e.Never = evictsNever(e.Policy, fields["maxmemory"])
	e.MaxMemory, _ = strconv.ParseUint(fields["maxmemory"], 10, 64)
	var err error
	if e.Keys, err = strconv.ParseUint(fields["evicted_keys"], 10, 64); err == nil {
		e.Run = fields["run_id"]
	}
	e.Clients, _ = strconv.ParseUint(fields["connected_clients"], 10, 64)
	e.Rate, _ = strconv.ParseUint(fields["instantaneous_ops_per_sec"], 10, 64)
	e.Commands, _ = strconv.ParseUint(fields["total_commands_processed"], 10, 64)
	return e
}

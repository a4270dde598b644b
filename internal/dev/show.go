package dev

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/table"
)

// welcome is what is printed when everything runs.
func (r *run) welcome() []string {
	lines := append([]string{""}, table.Layout(r.now.table(), 0, false)...)
	env := r.servers.environ()
	lines = append(lines, "", "For your program's terminal (or: eval \"$("+r.again("env")+")\"):", "")
	lines = append(lines, exports(env, r.options.Environ))
	if others := redisNames(r.options.Environ, nil); len(others) > 0 {
		lines = append(lines, "What this terminal's environment says does not count here: "+strings.Join(others, ", "))
	}
	if r.options.EnvFile != "" {
		lines = append(lines, "The environment is in "+r.options.EnvFile+" too.")
	}
	lines = append(lines, r.options.periods(), "Files and logs: "+r.dir)
	if r.service != nil {
		lines = append(lines, "evercache serves on "+r.service.URL()+"; its log is "+serviceLog+" there.")
	}
	lines = append(lines, "Orders, here or from another terminal as '"+r.again("ORDER")+"':", strings.TrimSuffix(Help(), "\n"))
	return append(lines, "ready: "+r.now.summary())
}

// periods says how long things take.
func (o Options) periods() string {
	switch o.Mode {
	case Sentinel:
		return fmt.Sprintf("A server that is silent for %v counts as down. A failover takes two to three seconds.", DownAfter)
	case Cluster:
		return fmt.Sprintf("A server that is silent for %v counts as down. A failover takes two to three seconds.", NodeTimeout)
	}
	return "One server: there is no failover. Kill it, and start it again."
}

// again is the command line of an order from another terminal.
func (r *run) again(order string) string {
	if r.options.Name == defaultName {
		return "evercache dev " + order
	}
	return "evercache dev --name " + r.options.Name + " " + order
}

// say prints lines that stay, at the end of what a terminal shows.
func (r *run) say(texts ...string) {
	var lines []string
	for _, text := range texts {
		lines = append(lines, strings.Split(text, "\n")...)
	}
	switch {
	case len(lines) == 0:
	case r.screen != nil:
		r.out.print(r.screen.frame(lines, r.block()))
	default:
		r.out.print(strings.Join(lines, "\n") + "\n")
	}
}

// draw shows the servers anew, on a terminal.
func (r *run) draw() {
	if r.screen != nil {
		r.out.print(r.screen.frame(nil, r.block()))
	}
}

func (r *run) block() []string {
	width, height := r.options.Terminal.size()
	return block(r.now, r.serviceState, string(r.editor.line), width, height, r.options.Terminal.colour)
}

// note prints what has happened, with the time, and how long after the trouble began.
func (r *run) note(lines ...string) {
	at := time.Now()
	after := ""
	if !r.since.IsZero() {
		after = fmt.Sprintf("  %+.2fs", at.Sub(r.since).Seconds())
	}
	for i, l := range lines {
		lines[i] = fmt.Sprintf("%s%s  %s", at.Format("15:04:05.000"), after, l)
	}
	r.say(lines...)
}

// seen compares a look with the one before.
func (r *run) seen(s Snapshot) {
	lines := changes(r.now, s)
	trouble := len(s.faults()) > 0
	if r.since.IsZero() && (trouble || !slices.Equal(r.now.masters(), s.masters())) { // a failover may be over between two looks
		r.since = time.Now()
	}
	r.now = s
	if len(lines) > 0 {
		r.hurry()
		r.note(lines...)
	}
	if !trouble && !r.since.IsZero() && time.Since(r.since) > settle {
		r.note("all is well: " + s.summary())
		r.since = time.Time{}
	}
}

// settle is how long after an order nothing is called well: the servers may not have noticed.
const settle = 300 * time.Millisecond

func (r *run) serviceSeen(state string) {
	if state != r.serviceState {
		r.serviceState = state
		if r.screen == nil {
			r.note("evercache: " + state)
		}
	}
}

func (r *run) serviceEnded(err error) {
	r.serviceState = "ended"
	if err != nil {
		r.serviceState = "ended: " + strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	r.note("evercache " + r.serviceState)
}

// status is the table, what is not well, and the service.
func (r *run) status(ctx context.Context) string {
	r.now = r.servers.look(ctx)
	lines := table.Layout(r.now.table(), 0, false)
	if r.serviceState != "" {
		lines = append(lines, "evercache  "+r.serviceState)
	}
	faults := r.now.faults()
	if len(faults) == 0 {
		return strings.Join(append(lines, "all is well: "+r.now.summary()), "\n")
	}
	return strings.Join(append(lines, "not well: "+strings.Join(faults, "; ")), "\n")
}

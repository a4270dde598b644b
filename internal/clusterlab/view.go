package main

import (
	"context"
	"encoding/json"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// viewer asks one node about itself and the cluster, and writes what has changed.
type viewer struct {
	node
	rec  *recorder
	link link

	said  viewLine // all fields, as they were written last
	as    sameness
	wrote time.Time
}

var questions = [][]string{{"ROLE"}, {"CLUSTER", "NODES"}, {"INFO", "replication"}, {"CLUSTER", "INFO"}}

func (v *viewer) ask(ctx context.Context) {
	sent := time.Now()
	commands := questions
	if v.link.conn == nil { // another connection may be to another process
		commands = append(questions[:len(questions):len(questions)], []string{"INFO", "server"})
	}
	replies, err := v.link.pipeline(ctx, viewLimit, commands...)
	at := time.Now()
	if ctx.Err() != nil {
		return
	}
	full := viewLine{}
	if err != nil {
		full.Error = describeError(err)
	} else {
		full = readView(replies, v.said.RunID)
	}
	v.write(at, at.Sub(sent), full)
}

// readView puts the replies in the words of the format.
func readView(replies []any, runID string) viewLine {
	l := viewLine{RunID: runID}
	for i, name := range []string{"role", "nodes", "info", "cluster", "run_id"} {
		if i == len(replies) {
			break
		}
		if e, refused := replies[i].(redisproc.ReplyError); refused {
			if l.Refused == nil {
				l.Refused = map[string]string{}
			}
			l.Refused[name] = string(e)
			continue
		}
		text, _ := replies[i].(string)
		switch name {
		case "role":
			l.Role = replies[i]
		case "nodes":
			l.Nodes = text
		case "info":
			l.Info = fields(text, "repl_backlog_")
		case "cluster":
			l.Cluster = fields(text, "cluster_stats_", "total_cluster_links_")
		case "run_id":
			l.RunID = fields(text)["run_id"]
		}
	}
	return l
}

// fields reads INFO, without the fields of these beginnings.
func fields(text string, without ...string) map[string]string {
	f := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if ok && !slices.ContainsFunc(without, func(p string) bool { return strings.HasPrefix(name, p) }) {
			f[name] = value
		}
	}
	return f
}

// sameness is what of a view decides whether it has changed.
type sameness struct{ err, role, nodes, info, cluster, runID, refused string }

func (l viewLine) sameness() sameness {
	return sameness{
		l.Error, withoutNumbers(l.Role), withoutTimes(l.Nodes), withoutOffsets(l.Info), text(l.Cluster), l.RunID, text(l.Refused),
	}
}

// withoutNumbers is ROLE without offsets.
func withoutNumbers(role any) string {
	list, _ := role.([]any)
	var words []string
	for i, v := range list {
		switch v := v.(type) {
		case []any: // the replicas of a master: address, port, offset
			for _, replica := range v {
				if r, ok := replica.([]any); ok && len(r) == 3 {
					words = append(words, text(r[:2]))
				}
			}
			slices.Sort(words[1:]) // the first is the role
		case int64:
			if i == 2 { // a replica's master's port; others are offsets
				words = append(words, text(v))
			}
		default:
			words = append(words, text(v))
		}
	}
	return strings.Join(words, " ")
}

// withoutTimes is CLUSTER NODES without the times of pings and pongs, in an order of its own.
func withoutTimes(nodes string) string {
	var lines []string
	for line := range strings.Lines(nodes) {
		f := strings.Fields(line)
		if len(f) >= 8 {
			f[4], f[5] = "", ""
		}
		lines = append(lines, strings.Join(f, " "))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

var offset = regexp.MustCompile(`,offset=\d+,lag=\d+`)

// withoutOffsets is INFO replication without what always changes.
func withoutOffsets(info map[string]string) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(info)) {
		switch name {
		case "master_repl_offset", "slave_read_repl_offset", "slave_repl_offset", "master_last_io_seconds_ago", "master_link_down_since_seconds", "master_sync_last_io_seconds_ago":
		default:
			words = append(words, name+"="+offset.ReplaceAllString(info[name], ""))
		}
	}
	return strings.Join(words, " ")
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// write leaves out what is as before, and all of it when nothing has changed for less than a second.
func (v *viewer) write(at time.Time, took time.Duration, full viewLine) {
	now, was := full.sameness(), v.as
	if now == was && at.Sub(v.wrote) < quiet {
		return
	}
	l := full.changed(now, was) // an error has none of the fields, so all are written after it
	l.moment = moment{Src: v.name, Kind: "view", Took: millis(took)}
	v.rec.add(at, &l)
	v.as, v.wrote = now, at
	if full.Error == "" {
		v.said = full
	}
}

// changed keeps the fields that are not as before.
func (l viewLine) changed(now, was sameness) viewLine {
	if now.role == was.role {
		l.Role = nil
	}
	if now.nodes == was.nodes {
		l.Nodes = ""
	}
	if now.info == was.info {
		l.Info = nil
	}
	if now.cluster == was.cluster {
		l.Cluster = nil
	}
	if now.runID == was.runID {
		l.RunID = ""
	}
	return l
}

// millis has three decimals.
func millis(d time.Duration) float64 { return math.Round(float64(d)/1e3) / 1e3 }

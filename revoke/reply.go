package revoke

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/evercache/evercache/internal/kit"
)

// errReply means that Redis answered with something else than the command does.
var errReply = errors.New("unexpected reply")

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

func number(v any) int64 {
	if n, ok := v.(int64); ok {
		return n
	}
	n, err := strconv.ParseInt(text(v), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func texts(v any) []string {
	list, _ := v.([]any)
	ts := make([]string, len(list))
	for i, x := range list {
		ts[i] = text(x)
	}
	return ts
}

// firstError is that of the connection or of an answer.
func firstError(replies []kit.Reply, err error, want int) error {
	if err != nil {
		return err
	}
	for _, r := range replies {
		if r.Err != nil {
			return r.Err
		}
	}
	if len(replies) != want {
		return fmt.Errorf("%d answers to %d commands: %w", len(replies), want, errReply)
	}
	return nil
}

// parseStream reads the answer to XREAD of one stream: nil, or in RESP2 a list
// of names and lists, in RESP3 a map.
func parseStream(v any) (items []item, err error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case map[string]any:
		for _, list := range v {
			return parseItems(list)
		}
		return nil, nil
	case []any:
		if len(v) == 0 {
			return nil, nil
		}
		if pair, ok := v[0].([]any); ok && len(pair) == 2 {
			return parseItems(pair[1])
		}
	}
	return nil, fmt.Errorf("XREAD: %w", errReply)
}

// parseItems reads what XRANGE answers.
func parseItems(v any) ([]item, error) {
	list, ok := v.([]any)
	if !ok && v != nil {
		return nil, fmt.Errorf("stream: %w", errReply)
	}
	items := make([]item, 0, len(list))
	for _, x := range list {
		pair, ok := x.([]any)
		if !ok || len(pair) != 2 || text(pair[0]) == "" {
			return nil, fmt.Errorf("stream entry: %w", errReply)
		}
		items = append(items, parseItem(text(pair[0]), texts(pair[1])))
	}
	return items, nil
}

// parseScan reads the answer to ZSCAN.
func parseScan(v any) (cursor string, entries []entry, garbage int, err error) {
	list, ok := v.([]any)
	if !ok || len(list) != 2 || text(list[0]) == "" {
		return "", nil, 0, fmt.Errorf("ZSCAN: %w", errReply)
	}
	pairs := texts(list[1])
	for ; len(pairs) >= 2; pairs = pairs[2:] {
		if e, ok := parseEntry(pairs[0], pairs[1]); ok {
			entries = append(entries, e)
		} else if !ours(pairs[0]) {
			garbage++
		}
	}
	return text(list[0]), entries, garbage, nil
}

// parseWhere reads the answer of the where script.
func parseWhere(v any) (id string, seq int64, err error) {
	list, ok := v.([]any)
	if !ok || len(list) != 2 || text(list[0]) == "" {
		return "", 0, fmt.Errorf("where: %w", errReply)
	}
	return text(list[0]), number(list[1]), nil
}

// look is what the look script answers.
type look struct {
	markers []marker
	card    int64             // members
	count   int64             // what it should be
	seq     int64             // of the last entry of the stream
	counted bool              // there is a count
	state   string            // names what peers are
	peers   map[string]string // the processes of the list, and what they have done; nil: not asked for
	healing bool              // a process that has held a complete set is putting back what it lacks
}

func parseLook(v any) (l look, err error) {
	list, ok := v.([]any)
	if !ok || len(list) != 7 {
		return l, fmt.Errorf("look: %w", errReply)
	}
	for _, t := range texts(list[0]) {
		if m, ok := parseMarker(t); ok {
			l.markers = append(l.markers, m)
		}
	}
	l.card, l.seq, l.count = number(list[1]), number(list[2]), number(list[3])
	l.counted = list[3] != nil
	for _, t := range texts(list[4]) {
		l.healing = l.healing || strings.HasPrefix(t, healerHead)
	}
	l.state = text(list[5])
	if list[6] != nil {
		l.peers = parsePeers(texts(list[6]))
	}
	return l, nil
}

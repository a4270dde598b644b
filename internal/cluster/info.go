package cluster

import (
	"fmt"
	"strings"
)

// Info is the answer to CLUSTER INFO.
type Info struct {
	OK           bool  // cluster_state: this node takes commands
	CurrentEpoch int64 // the highest epoch that it has seen, elections included
}

const maxInfo = 64 << 10

// ParseInfo reads the answer to CLUSTER INFO.
func ParseInfo(text string) (Info, error) {
	if len(text) > maxInfo {
		return Info{}, fmt.Errorf("cluster info: %d bytes", len(text))
	}
	var state, epoch string
	for line := range strings.Lines(text) {
		switch key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); key {
		case "cluster_state":
			state = value
		case "cluster_current_epoch":
			epoch = value
		}
	}
	if state != "ok" && state != "fail" {
		return Info{}, fmt.Errorf("cluster info: unknown state %s", quote(state))
	}
	n, err := parseEpoch(epoch)
	if err != nil {
		return Info{}, fmt.Errorf("cluster info: %w", err)
	}
	return Info{OK: state == "ok", CurrentEpoch: n}, nil
}

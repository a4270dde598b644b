package sentinel

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Flags are the flags of an instance as a sentinel shows them.
type Flags uint16

// The flags that decisions rest on.
const (
	FlagMaster Flags = 1 << iota
	FlagReplica
	FlagSentinel
	FlagSDown
	FlagODown
	FlagDisconnected
	FlagFailover // failover_in_progress
	FlagForced   // force_failover: asked for by hand
	FlagPromoted // the replica this leader has chosen
)

var flagNames = map[string]Flags{
	"master": FlagMaster, "slave": FlagReplica, "replica": FlagReplica, "sentinel": FlagSentinel,
	"s_down": FlagSDown, "o_down": FlagODown, "disconnected": FlagDisconnected,
	"failover_in_progress": FlagFailover, "force_failover": FlagForced, "promoted": FlagPromoted,
}

// Has reports whether all of want are set.
func (f Flags) Has(want Flags) bool { return f&want == want }

func parseFlags(s string) Flags {
	var f Flags
	for name := range strings.SplitSeq(s, ",") {
		f |= flagNames[name]
	}
	return f
}

// Progress is how far a failover has come. The order matters.
type Progress uint8

// The steps of a failover as its sentinel shows or publishes them.
const (
	ProgressNone      Progress = iota
	ProgressCandidate          // it wants to lead and has not been elected: nobody may be promoted by it
	ProgressElected
	ProgressSelected // the replica is chosen and is being told
	ProgressPromoted // the leader has seen it as a master
)

var progressNames = map[string]Progress{
	"wait_start":         ProgressCandidate,
	"select_slave":       ProgressElected,
	"send_slaveof_noone": ProgressSelected,
	"wait_promotion":     ProgressSelected,
	"reconf_slaves":      ProgressPromoted,
	"update_config":      ProgressPromoted,
}

// MasterView is what SENTINEL MASTER says.
type MasterView struct {
	Name            string
	Addr            Addr // the leader of a failover keeps the old address here until the end
	RunID           string
	Flags           Flags
	Epoch           int64 // config-epoch
	OtherSentinels  int
	Quorum          int
	Progress        Progress // ProgressNone without a failover
	DownAfter       time.Duration
	FailoverTimeout time.Duration
}

// ReplicaView is one entry of SENTINEL REPLICAS.
type ReplicaView struct {
	Addr     Addr
	RunID    string
	Flags    Flags
	Priority int
	Master   Addr // zero when the sentinel does not know it yet
	LinkUp   bool
}

// PeerView is one entry of SENTINEL SENTINELS.
type PeerView struct {
	Addr  Addr
	ID    string
	Flags Flags
}

// Tilt is whether a sentinel has halted itself, as its INFO says.
type Tilt uint8

// What is known of it.
const (
	TiltUnknown Tilt = iota
	TiltOff
	TiltOn
)

// ParseTilt reads INFO sentinel.
func ParseTilt(info string) Tilt {
	for line := range strings.Lines(info) {
		switch strings.TrimRight(line, "\r\n") {
		case "sentinel_tilt:0":
			return TiltOff
		case "sentinel_tilt:1":
			return TiltOn
		}
	}
	return TiltUnknown
}

// MaxListed is how many entries are taken of one list.
const MaxListed = 64

const maxSentinels = 64 // more other sentinels than this is no answer

// ParseMaster reads the fields of SENTINEL MASTER.
func ParseMaster(f map[string]string) (MasterView, error) {
	addr, err := ParseAddr(f["ip"], f["port"])
	if err != nil {
		return MasterView{}, fmt.Errorf("sentinel master: %w", err)
	}
	r := fields{f: f}
	v := MasterView{
		Name:            f["name"],
		Addr:            addr,
		RunID:           parseID(f["runid"]),
		Flags:           parseFlags(f["flags"]),
		Epoch:           r.count("config-epoch", maxEpoch),
		OtherSentinels:  int(r.count("num-other-sentinels", maxSentinels)),
		Quorum:          int(r.count("quorum", 1<<31)),
		DownAfter:       r.millis("down-after-milliseconds"),
		FailoverTimeout: r.millis("failover-timeout"),
	}
	if !v.Flags.Has(FlagMaster) {
		r.errs = append(r.errs, fmt.Errorf("flags %s do not say master", quote(f["flags"])))
	}
	if v.Flags.Has(FlagFailover) {
		v.Progress = cmp.Or(progressNames[f["failover-state"]], ProgressCandidate)
	}
	if err := errors.Join(r.errs...); err != nil {
		return MasterView{}, fmt.Errorf("sentinel master: %w", err)
	}
	return v, nil
}

// ParseReplicas reads SENTINEL REPLICAS. Entries that make no sense are left
// out and named in the error; the others are still good.
func ParseReplicas(list []map[string]string) ([]ReplicaView, error) {
	return parseList(list, parseReplica)
}

// ParseSentinels reads SENTINEL SENTINELS, like [ParseReplicas].
func ParseSentinels(list []map[string]string) ([]PeerView, error) {
	return parseList(list, parsePeer)
}

func parseList[V any](list []map[string]string, parse func(map[string]string) (V, error)) ([]V, error) {
	var out []V
	var errs []error
	if len(list) > MaxListed {
		errs = append(errs, fmt.Errorf("%d entries, %d taken", len(list), MaxListed))
		list = list[:MaxListed]
	}
	for _, f := range list {
		v, err := parse(f)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, v)
	}
	return out, errors.Join(errs...)
}

func parseReplica(f map[string]string) (ReplicaView, error) {
	addr, err := ParseAddr(f["ip"], f["port"])
	if err != nil {
		return ReplicaView{}, fmt.Errorf("replica: %w", err)
	}
	r := fields{f: f}
	v := ReplicaView{
		Addr:     addr,
		RunID:    parseID(f["runid"]),
		Flags:    parseFlags(f["flags"]),
		Priority: int(r.count("slave-priority", 1<<31)),
		LinkUp:   f["master-link-status"] == "ok",
	}
	// "?:0" until the sentinel has read the replica's INFO: unknown, not wrong.
	v.Master, _ = ParseAddr(f["master-host"], f["master-port"])
	if len(r.errs) > 0 {
		return ReplicaView{}, fmt.Errorf("replica %s: %w", addr, errors.Join(r.errs...))
	}
	return v, nil
}

func parsePeer(f map[string]string) (PeerView, error) {
	addr, err := ParseAddr(f["ip"], f["port"])
	if err != nil {
		return PeerView{}, fmt.Errorf("sentinel: %w", err)
	}
	return PeerView{Addr: addr, ID: parseID(f["runid"]), Flags: parseFlags(f["flags"])}, nil
}

// fields reads numbers from a reply and collects what is wrong with them.
type fields struct {
	f    map[string]string
	errs []error
}

func (r *fields) count(name string, limit int64) int64 {
	n, err := parseCount(r.f[name], limit)
	if err != nil {
		r.errs = append(r.errs, fmt.Errorf("%s: %w", name, err))
	}
	return n
}

// millis reads a duration that may be missing.
func (r *fields) millis(name string) time.Duration {
	if r.f[name] == "" {
		return 0
	}
	return time.Duration(r.count(name, 1<<40)) * time.Millisecond
}

// parseID reads a run id or replication id: 40 hexadecimal digits, not all 0
// (which stands for "none"). Anything else is no id.
func parseID(s string) string {
	if len(s) != 40 || strings.Trim(s, "0") == "" {
		return ""
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
	}
	return s
}

func parseOffset(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

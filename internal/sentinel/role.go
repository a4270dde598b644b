package sentinel

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Role is what a node says it is.
type Role uint8

// The roles of a node.
const (
	RoleUnknown Role = iota
	RoleMaster
	RoleReplica
)

func (r Role) String() string { return [...]string{"unknown", "master", "replica"}[r] }

// RoleReply is the answer to ROLE.
type RoleReply struct {
	Role     Role
	Master   Addr   // whom a replica follows; zero when it names nobody that could be dialled
	Replicas []Addr // those attached to a master
}

// ParseRole reads the answer to ROLE: strings, integers and lists of them.
func ParseRole(reply []any) (RoleReply, error) {
	if len(reply) == 0 {
		return RoleReply{}, errors.New("role: empty answer")
	}
	switch word(reply[0]) {
	case "master":
		return parseMasterRole(reply)
	case "slave", "replica":
		return parseReplicaRole(reply)
	}
	return RoleReply{}, fmt.Errorf("role: unknown role %s", quote(word(reply[0])))
}

func parseMasterRole(reply []any) (RoleReply, error) {
	if len(reply) < 3 {
		return RoleReply{}, errors.New("role: master without its replicas")
	}
	list, ok := reply[2].([]any)
	if !ok {
		return RoleReply{}, errors.New("role: replicas are not a list")
	}
	r := RoleReply{Role: RoleMaster}
	for _, e := range list[:min(len(list), MaxListed)] {
		if f, ok := e.([]any); ok && len(f) >= 2 {
			if a, err := ParseAddr(word(f[0]), word(f[1])); err == nil {
				r.Replicas = append(r.Replicas, a)
			}
		}
	}
	return r, nil
}

// parseReplicaRole keeps the role where the master's address is unusable: that
// the node takes no writes is worth knowing by itself.
func parseReplicaRole(reply []any) (RoleReply, error) {
	if len(reply) < 3 {
		return RoleReply{}, errors.New("role: replica without its master")
	}
	r := RoleReply{Role: RoleReplica}
	r.Master, _ = ParseAddr(word(reply[1]), word(reply[2]))
	return r, nil
}

func word(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case int:
		return strconv.Itoa(v)
	}
	return ""
}

// Replication is the replication section of INFO.
type Replication struct {
	Role     Role
	ReplID   string // "" when it is missing or makes no sense
	ReplID2  string // the id before; "" for none
	Offset   int64
	Master   Addr
	LinkUp   bool
	Replicas []Attached
	RunID    string // only where the server section was asked for too
}

// Attached is a replica in its master's INFO.
type Attached struct {
	Addr   Addr
	State  string // wait_bgsave, send_bulk, online; "" when it makes no sense
	Online bool
	Offset int64         // what it has acknowledged
	Lag    time.Duration // since it did
}

const maxInfo = 64 << 10

// ParseReplication reads INFO replication, or a longer INFO.
func ParseReplication(text string) (Replication, error) {
	if len(text) > maxInfo {
		return Replication{}, fmt.Errorf("info: %d bytes", len(text))
	}
	f := map[string]string{}
	var r Replication
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		if !ok {
			continue
		}
		if isAttached(key) {
			r.attach(value)
			continue
		}
		f[key] = value
	}
	switch f["role"] {
	case "master":
		r.Role = RoleMaster
	case "slave", "replica":
		r.Role = RoleReplica
	default:
		return Replication{}, fmt.Errorf("info: unknown role %s", quote(f["role"]))
	}
	r.ReplID, r.ReplID2, r.RunID = parseID(f["master_replid"]), parseID(f["master_replid2"]), parseID(f["run_id"])
	r.Offset = parseOffset(f["master_repl_offset"])
	r.Master, _ = ParseAddr(f["master_host"], f["master_port"])
	r.LinkUp = f["master_link_status"] == "up"
	return r, nil
}

// RoleOnly is what ROLE tells of INFO replication, for a node that refuses that.
func RoleOnly(r RoleReply) Replication {
	info := Replication{Role: r.Role, Master: r.Master}
	for _, a := range r.Replicas {
		info.Replicas = append(info.Replicas, Attached{Addr: a})
	}
	return info
}

func isAttached(key string) bool {
	n, ok := strings.CutPrefix(key, "slave")
	return ok && n != "" && strings.Trim(n, "0123456789") == ""
}

// attach reads "ip=…,port=…,state=online,offset=…,lag=…", lag in seconds.
func (r *Replication) attach(value string) {
	if len(r.Replicas) >= MaxListed {
		return
	}
	f := map[string]string{}
	for pair := range strings.SplitSeq(value, ",") {
		if k, v, ok := strings.Cut(pair, "="); ok {
			f[k] = v
		}
	}
	addr, err := ParseAddr(f["ip"], f["port"])
	if err != nil {
		return
	}
	state := f["state"]
	if !isLabel(state) {
		state = ""
	}
	lag, _ := parseCount(f["lag"], 1<<31)
	r.Replicas = append(r.Replicas, Attached{
		Addr: addr, State: state, Online: state == "online",
		Offset: parseOffset(f["offset"]), Lag: time.Duration(lag) * time.Second,
	})
}

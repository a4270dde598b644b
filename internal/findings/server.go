package findings

import (
	"fmt"
	"strings"

	"github.com/evercache/evercache/health"
)

var twoServers = health.Finding{
	Code: health.CodeRedisTwoServers, Severity: health.SeverityError, Title: "The address of Redis reaches two servers",
	Fix: "Let REDIS_HOST name one server. A load balancer must send every connection to the same master. For a master with replicas use Sentinel mode.",
}

// server reports what is unusual about the server in use.
func server(s Master) (fs []health.Finding) {
	if len(s.Missing) > 0 {
		fs = append(fs, missing(s.Missing))
	}
	if s.Puzzled != nil {
		f := explain(UnknownReply)
		f.Severity = health.SeverityWarning
		f.Detail = s.Puzzled.Error() + "; a write with this answer is kept and sent again"
		fs = append(fs, f)
	}
	if s.TooLong != nil {
		fs = append(fs, health.Finding{
			Code: health.CodeRedisValueTooLong, Severity: health.SeverityWarning,
			Title:  "Redis holds a value that is too long to be read",
			Detail: s.TooLong.Error() + "; the key counts as missing",
			Fix:    "Find out who writes it (redis-cli --bigkeys). If such values are intended, raise MaxValueBytes (EVERCACHE_MAX_BODY).",
		})
	}
	if s.Apart {
		f := twoServers
		f.Detail = "the connection of the denylist has reached another server than the cache uses. That connection is not used"
		fs = append(fs, f)
	}
	if s.Before6_2 {
		fs = append(fs, old(s))
	}
	return fs
}

// losses say what is lost without a command.
var losses = map[string]string{
	"TIME":      "the clock of INFO is used, and scripts cannot be run: deletes leave no tombstone, and kept writes are sent without checking for newer writes of others",
	"WAIT":      "it is not known whether a replica has a write: Replicated is never reached, and in Sentinel mode nothing is confirmed or coherent",
	"INFO":      "the replicas and their offsets are not known: in Sentinel mode nothing is confirmed or coherent",
	"ROLE":      "INFO is used to find out whether the server is a master",
	"SCAN":      "keys cannot be found by their prefix: DeletePrefix fails. One that was kept in an outage waits, and the writes under its prefix wait too",
	"UNLINK":    "DEL is used: deleting a large value blocks the server for a moment",
	"PTTL":      "the remaining TTL of a value is not known: memory keeps it for the whole TTL of its class",
	"PEXPIRE":   "PEXPIREAT is used",
	"EVALSHA":   "each script is sent with its whole text",
	"CLIENT":    "changes by other processes are not announced, and the connections have no name",
	"HELLO":     "changes by other processes are not announced",
	"PEXPIREAT": scriptsLost,

	"GET":        "values cannot be read: each read is a load, and kept writes become deletes, because newer writes of others cannot be seen",
	"SET":        "nothing can be written: writes are kept in this process, and without a journal they are lost when it ends",
	"DEL":        "nothing can be deleted, and kept writes cannot be sent",
	"STRLEN":     "a value that is too long is not replaced by a load",
	"GETRANGE":   "a value that is too long ends the connection, because its length is not known before",
	"GETBIT":     "a value above the server's limit ends the shared connection, once a minute at most",
	"HMGET":      "marks of deleted prefixes cannot be read: kept writes become deletes, and no load is stored",
	"HDEL":       "too many marks of deleted prefixes become one mark for the whole class",
	"HRANDFIELD": "too many marks of deleted prefixes become one mark for the whole class",
	"HGET":       marksLost,
	"HEXISTS":    marksLost,
	"HLEN":       marksLost,
	"HSET":       "the TTLs of a class and deletes of prefixes are not recorded: the order of writes of several processes is not known, and such keys are deleted",
	"HGETALL":    "the TTLs of a class cannot be read: the order of writes of several processes is not known, and such keys are deleted",
	"TYPE":       marksLost,
}

const marksLost = "marks of deleted prefixes cannot be read: kept writes may become deletes, and a load may not be stored"

const scriptsLost = "scripts cannot be run: deletes leave no tombstone, and kept writes are sent without checking for newer writes of others"

// KnowsLoss reports whether it is known what is lost without a command.
func KnowsLoss(command string) bool { return losses[command] != "" }

func missing(commands []Command) health.Finding {
	var names, lost, allow []string
	gone := false
	for _, m := range commands {
		loss, ok := losses[m.Name]
		if !ok {
			loss = scriptsLost
		}
		names = append(names, m.Name)
		lost = append(lost, m.Name+": "+loss)
		if m.Forbidden {
			allow = append(allow, "+"+strings.ToLower(m.Name))
		} else {
			gone = true
		}
	}
	f := health.Finding{
		Code: health.CodeRedisCommandMissing, Severity: health.SeverityWarning,
		Title:  "Redis does not have commands that evercache uses: ",
		Detail: strings.Join(lost, "; "),
	}
	var fix []string
	if gone {
		fix = append(fix, "Remove the rename-command lines of these commands from redis.conf, or ask the operator of the server or proxy to allow them.")
	} else {
		f.Title = "The Redis ACL forbids commands that evercache uses: "
	}
	if len(allow) > 0 {
		fix = append(fix, "Allow the user these commands (ACL SETUSER with "+strings.Join(allow, " ")+").")
	}
	f.Title += strings.Join(names, ", ")
	f.Fix = strings.Join(fix, " ")
	return f
}

func old(s Master) health.Finding {
	lost := "SET has no PXAT, so a write that a hung server executes late looks newer than it is; the denylist cannot be written (ZADD GT)"
	if s.Before6_0 {
		lost += "; changes by other processes are not announced, so nothing in memory is coherent"
	}
	return health.Finding{
		Code: health.CodeRedisOld, Severity: health.SeverityWarning,
		Title:  "Redis is older than 6.2",
		Detail: fmt.Sprintf("it reports version %.20q: %s", s.Version, lost),
		Fix:    "Use Redis 6.2 or later, or Valkey.",
	}
}

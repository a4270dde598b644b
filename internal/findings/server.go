package findings

import (
	"fmt"
	"strings"

	"github.com/evercache/evercache/health"
)

var twoServers = health.Finding{
	Code: health.CodeRedisTwoServers, Severity: health.SeverityError, Title: "The address of Redis reaches two servers",
	Fix: "Let REDIS_HOST name one server. A balancer may stand before several only if it sends every connection to the same master; for a master with replicas use Sentinel mode.",
}

// server tell what is unusual about the server in use.
func server(s Master) (fs []health.Finding) {
	if len(s.Missing) > 0 {
		fs = append(fs, missing(s.Missing))
	}
	if s.Puzzled != nil {
		f := explain(UnknownReply)
		f.Severity = health.SeverityWarning
		f.Detail = s.Puzzled.Error() + "; a write that is answered so is kept, and sent again"
		fs = append(fs, f)
	}
	if s.TooLong != nil {
		fs = append(fs, health.Finding{
			Code: health.CodeRedisValueTooLong, Severity: health.SeverityWarning,
			Title:  "Redis holds a value that is too long to be read",
			Detail: s.TooLong.Error() + "; the key counts as missing",
			Fix:    "Find out who writes it (redis-cli --bigkeys). If such values are meant, raise MaxValueBytes (EVERCACHE_MAX_BODY).",
		})
	}
	if s.Apart {
		f := twoServers
		f.Detail = "another connection of this process, for the denylist, has reached another server than the cache uses: it is not used"
		fs = append(fs, f)
	}
	if s.Before6_2 {
		fs = append(fs, old(s))
	}
	return fs
}

// losses say what is lost without a command.
var losses = map[string]string{
	"TIME":      "the clock of INFO is used, and scripts cannot be run: deletes leave no tombstone, and what an outage kept is sent without a look at what others wrote since",
	"WAIT":      "no write is known to be held by a replica: Replicated is never reached, and in Sentinel mode nothing is confirmed or coherent",
	"INFO":      "how many replicas there are and how far they are is not known: in Sentinel mode nothing is confirmed or coherent",
	"ROLE":      "INFO tells in its place whether the server is a master",
	"SCAN":      "keys cannot be found by their prefix: DeletePrefix fails, and one that was kept in an outage waits, and with it the writes under it",
	"UNLINK":    "DEL is used: deleting a large value holds the server up for a moment",
	"PTTL":      "how long a value has to live is not known: memory keeps it for the whole TTL of its class",
	"PEXPIRE":   "PEXPIREAT is used",
	"EVALSHA":   "each script is sent with its whole text",
	"CLIENT":    "changes by other processes are not announced, and the connections have no name",
	"HELLO":     "changes by other processes are not announced",
	"PEXPIREAT": scriptsLost,

	"GET":        "values cannot be read: each read is a load, and what an outage kept is deleted instead of put back, since the traces of what others wrote cannot be read",
	"SET":        "nothing can be written: all is kept here, and lost when this process ends without a journal",
	"DEL":        "nothing can be deleted, and what an outage kept cannot be put back",
	"STRLEN":     "a value that is too long is not replaced by a load",
	"GETRANGE":   "values are read whole, and one that is too long ends the connection",
	"GETBIT":     "a value over the server's limit ends the connection of all callers, once a minute at most",
	"HMGET":      "marks of deleted prefixes cannot be read: what an outage kept is deleted instead of put back, and no load is stored",
	"HDEL":       "marks of deleted prefixes become one of the whole class when there are too many",
	"HRANDFIELD": "marks of deleted prefixes become one of the whole class when there are too many",
	"HGET":       marksLost,
	"HEXISTS":    marksLost,
	"HLEN":       marksLost,
	"HSET":       "neither lives of a class nor deletes of prefixes are noted: the order of writes of several processes cannot be told, and such keys are deleted",
	"HGETALL":    "lives of a class cannot be read: the order of writes of several processes cannot be told, and such keys are deleted",
	"TYPE":       marksLost,
}

const marksLost = "marks of deleted prefixes cannot be read: what an outage kept may be deleted instead of put back, and a load may not be stored"

const scriptsLost = "scripts cannot be run: deletes leave no tombstone, and what an outage kept is sent without a look at what others wrote since"

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
		fix = append(fix, "Take the commands out of rename-command in redis.conf, or ask whoever runs the server or the proxy before it to allow them.")
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
	lost := "SET knows no absolute end, so a write that a hung server carries out late looks newer than it is; the denylist cannot be written (ZADD GT)"
	if s.Before6_0 {
		lost += "; changes by other processes are not announced, so nothing in memory is coherent"
	}
	return health.Finding{
		Code: health.CodeRedisOld, Severity: health.SeverityWarning,
		Title:  "Redis is older than 6.2",
		Detail: fmt.Sprintf("it tells version %.20q: %s", s.Version, lost),
		Fix:    "Use Redis 6.2 or later, or Valkey.",
	}
}

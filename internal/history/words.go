// Package history tells what has happened to a Redis set: in plain words what sentinels publish, and what
// a process that uses the set remembers of its failovers.
package history

import (
	"fmt"
	"strings"

	"github.com/evercache/evercache/internal/sentinel"
)

// Words says in plain words what a sentinel has published, as what that sentinel does or sees. ok is false
// for what is not worth a line, what makes no sense, and what is about a master of another name.
func Words(name, channel, message string) (text string, ok bool) {
	if say, found := plainWords[channel]; found {
		m, err := sentinel.ParseMessage(channel, message)
		if err != nil || m.Name != "" && m.Name != name {
			return "", false
		}
		return say(m), true
	}
	if say, found := otherWords[channel]; found {
		i, ok := parseInstance(message)
		if !ok || i.master != name {
			return "", false
		}
		return say(i), true
	}
	return "", false
}

// what names the subject of a message: the master, a replica or another sentinel.
func what(m sentinel.Message) string {
	switch m.Subject {
	case sentinel.SubjectMaster:
		return fmt.Sprintf("the master %s", m.Addr)
	case sentinel.SubjectReplica:
		return fmt.Sprintf("the replica %s", m.Addr)
	case sentinel.SubjectSentinel:
		return fmt.Sprintf("the sentinel %s", m.Addr)
	}
	return m.Addr.String()
}

func always(text string) func(sentinel.Message) string {
	return func(sentinel.Message) string { return text }
}

func about(format string) func(sentinel.Message) string {
	return func(m sentinel.Message) string { return fmt.Sprintf(format, what(m)) }
}

// plainWords are for the messages that the library reads too.
var plainWords = map[string]func(sentinel.Message) string{
	"+sdown":                             about("holds %s down: it does not answer"),
	"-sdown":                             about("hears %s again"),
	"+odown":                             about("knows that enough others hold %s down, too"),
	"-odown":                             about("knows that too few others hold %s down"),
	"+new-epoch":                         func(m sentinel.Message) string { return fmt.Sprintf("is in epoch %d", m.Epoch) },
	"+try-failover":                      about("wants to replace %s, and asks for votes"),
	"+elected-leader":                    always("has the votes: it leads the failover"),
	"+failover-state-select-slave":       always("looks for the best replica"),
	"+selected-slave":                    about("has chosen %s"),
	"+failover-state-send-slaveof-noone": about("tells %s to become master"),
	"+failover-state-wait-promotion":     about("waits until %s is master"),
	"+promoted-slave":                    about("sees that %s has become master"),
	"+failover-state-reconf-slaves":      always("tells the other replicas to follow the new master"),
	"+failover-end":                      always("has ended the failover: all replicas follow the new master"),
	"+failover-end-for-timeout":          always("has ended the failover, though not all replicas follow the new master"),
	"-failover-abort-not-elected":        always("has given up: it did not get the votes"),
	"-failover-abort-no-good-slave":      always("has given up: no replica is fit to be master"),
	"-failover-abort-slave-timeout":      always("has given up: the chosen replica did not become master in time"),
	"+switch-master": func(m sentinel.Message) string {
		return fmt.Sprintf("names %s as master, in place of %s", m.Addr, m.Master)
	},
	"+tilt":             always("is in TILT mode: its clock jumped or it was stopped. It takes no action for 30 s"),
	"-tilt":             always("has left TILT mode"),
	"+reboot":           about("sees that %s was restarted"),
	"+role-change":      about("sees that %s has the role that it should have"),
	"-role-change":      about("sees that %s has another role than it should have"),
	"+monitor":          about("watches %s"),
	"-monitor":          about("watches %s no more"),
	"+convert-to-slave": about("tells %s to be a replica"),
	"+sentinel":         about("has found %s"),
}

// otherWords are for messages that say a name and an address only.
var otherWords = map[string]func(instance) string{
	"+slave":                   func(i instance) string { return "has found the replica " + i.addr },
	"+slave-reconf-sent":       func(i instance) string { return "has told the replica " + i.addr + " to follow the new master" },
	"+slave-reconf-done":       func(i instance) string { return "sees that the replica " + i.addr + " follows the new master" },
	"+fix-slave-config":        func(i instance) string { return "tells the replica " + i.addr + " to follow the right master" },
	"+sentinel-address-switch": func(i instance) string { return "sees that the sentinel " + i.addr + " has another address" },
	"+reset-master": func(i instance) string {
		return "has forgotten the replicas and sentinels of the master " + i.addr + " (RESET)"
	},
}

// instance is who a message is about: "slave 10.0.0.2:6379 10.0.0.2 6379 @ mymaster 10.0.0.1 6379", or
// "master mymaster 10.0.0.1 6379".
type instance struct {
	addr   string
	master string // the name
}

const maxMessage = 1024

func parseInstance(message string) (instance, bool) {
	f := strings.Fields(message[:min(len(message), maxMessage)])
	if len(f) < 4 {
		return instance{}, false
	}
	addr, err := sentinel.ParseAddr(f[2], f[3])
	if err != nil {
		return instance{}, false
	}
	i := instance{addr.String(), f[1]}
	if len(f) >= 6 && f[4] == "@" {
		i.master = f[5]
	}
	return i, true
}

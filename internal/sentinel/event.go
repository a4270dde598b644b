package sentinel

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Kind is what a sentinel's message is about.
type Kind uint8

// The kinds of messages that decisions rest on. Everything else is KindOther.
const (
	KindOther Kind = iota
	KindSDown
	KindSDownEnd
	KindODown
	KindODownEnd
	KindNewEpoch
	KindTry               // +try-failover
	KindElected           // +elected-leader
	KindSelecting         // +failover-state-select-slave
	KindSelected          // +selected-slave
	KindSending           // +failover-state-send-slaveof-noone
	KindPromoting         // +failover-state-wait-promotion
	KindPromoted          // +promoted-slave
	KindReconfiguring     // +failover-state-reconf-slaves
	KindFailoverEnd       // +failover-end, +failover-end-for-timeout
	KindAbortNotElected   // -failover-abort-not-elected
	KindAbortNoGoodSlave  // -failover-abort-no-good-slave
	KindAbortSlaveTimeout // -failover-abort-slave-timeout: it can come after a promotion
	KindSwitchMaster
	KindTilt
	KindTiltEnd
	KindHint // worth asking again at once: +reboot, ±role-change, ±monitor, +config-update-from, +convert-to-slave, +sentinel
)

var kinds = map[string]Kind{
	"+sdown":                             KindSDown,
	"-sdown":                             KindSDownEnd,
	"+odown":                             KindODown,
	"-odown":                             KindODownEnd,
	"+new-epoch":                         KindNewEpoch,
	"+try-failover":                      KindTry,
	"+elected-leader":                    KindElected,
	"+failover-state-select-slave":       KindSelecting,
	"+selected-slave":                    KindSelected,
	"+failover-state-send-slaveof-noone": KindSending,
	"+failover-state-wait-promotion":     KindPromoting,
	"+promoted-slave":                    KindPromoted,
	"+failover-state-reconf-slaves":      KindReconfiguring,
	"+failover-end":                      KindFailoverEnd,
	"+failover-end-for-timeout":          KindFailoverEnd,
	"-failover-abort-not-elected":        KindAbortNotElected,
	"-failover-abort-no-good-slave":      KindAbortNoGoodSlave,
	"-failover-abort-slave-timeout":      KindAbortSlaveTimeout,
	"+switch-master":                     KindSwitchMaster,
	"+tilt":                              KindTilt,
	"-tilt":                              KindTiltEnd,
	"+reboot":                            KindHint,
	"+role-change":                       KindHint,
	"-role-change":                       KindHint,
	"+monitor":                           KindHint,
	"-monitor":                           KindHint,
	"+config-update-from":                KindHint,
	"+convert-to-slave":                  KindHint,
	"+sentinel":                          KindHint,
}

// Subject is what kind of instance a message speaks of. A +sdown of a replica
// or of a sentinel carries the name of our master too, so the subject decides.
type Subject uint8

// The subjects of messages.
const (
	SubjectNone Subject = iota
	SubjectMaster
	SubjectReplica
	SubjectSentinel
)

var subjects = map[string]Subject{"master": SubjectMaster, "slave": SubjectReplica, "replica": SubjectReplica, "sentinel": SubjectSentinel}

// Message is one published message of a sentinel.
type Message struct {
	Kind    Kind
	Subject Subject
	Name    string // the master's name in the sentinels' configuration
	Addr    Addr   // of the subject; for KindSwitchMaster the new master
	Master  Addr   // the master as this sentinel names it; for KindSwitchMaster the old one
	Epoch   int64  // KindNewEpoch
}

const maxMessage = 1024

// ParseMessage reads a message published by a sentinel. Channels that no
// decision rests on give KindOther without an error.
func ParseMessage(channel, message string) (Message, error) {
	kind := kindOf(channel)
	if kind == KindOther {
		return Message{}, nil
	}
	if len(message) > maxMessage {
		return Message{}, fmt.Errorf("%s: message of %d bytes", channel, len(message))
	}
	m, err := parseBody(kind, strings.Fields(message))
	if err != nil {
		return Message{}, fmt.Errorf("%s: %w", channel, err)
	}
	m.Kind = kind
	return m, nil
}

// kindOf also understands steps and endings of a failover that later servers may
// add.
func kindOf(channel string) Kind {
	if k, ok := kinds[channel]; ok {
		return k
	}
	switch {
	case strings.HasPrefix(channel, "+failover-state-"):
		return KindElected
	case strings.HasPrefix(channel, "-failover-abort-"):
		return KindAbortSlaveTimeout
	}
	return KindOther
}

func parseBody(kind Kind, f []string) (Message, error) {
	switch kind {
	case KindTilt, KindTiltEnd:
		return Message{}, nil
	case KindNewEpoch:
		return parseEpoch(f)
	case KindSwitchMaster:
		return parseSwitch(f)
	}
	return parseInstance(f)
}

func parseEpoch(f []string) (Message, error) {
	if len(f) != 1 {
		return Message{}, errors.New("want one number")
	}
	n, err := parseCount(f[0], maxEpoch)
	return Message{Epoch: n}, err
}

// parseSwitch reads "<name> <old ip> <old port> <new ip> <new port>".
func parseSwitch(f []string) (Message, error) {
	if len(f) != 5 {
		return Message{}, fmt.Errorf("want a name and two addresses, have %d words", len(f))
	}
	from, err := ParseAddr(f[1], f[2])
	if err != nil {
		return Message{}, fmt.Errorf("old master: %w", err)
	}
	to, err := ParseAddr(f[3], f[4])
	if err != nil {
		return Message{}, fmt.Errorf("new master: %w", err)
	}
	return Message{Subject: SubjectMaster, Name: f[0], Addr: to, Master: from}, nil
}

// parseInstance reads "<type> <name> <ip> <port> @ <master name> <ip> <port>",
// without the part from the @ on when the type is master. More may follow.
func parseInstance(f []string) (Message, error) {
	if len(f) < 4 {
		return Message{}, fmt.Errorf("want a type, a name and an address, have %d words", len(f))
	}
	subject, ok := subjects[f[0]]
	if !ok {
		return Message{}, fmt.Errorf("unknown type %s", quote(f[0]))
	}
	addr, err := ParseAddr(f[2], f[3])
	if err != nil {
		return Message{}, fmt.Errorf("%s: %w", f[0], err)
	}
	if subject == SubjectMaster {
		return Message{Subject: subject, Name: f[1], Addr: addr, Master: addr}, nil
	}
	if len(f) < 8 || f[4] != "@" {
		return Message{}, fmt.Errorf("%s without its master", f[0])
	}
	master, err := ParseAddr(f[6], f[7])
	if err != nil {
		return Message{}, fmt.Errorf("master of the %s: %w", f[0], err)
	}
	return Message{Subject: subject, Name: f[5], Addr: addr, Master: master}, nil
}

const maxEpoch = 1 << 53 // more than any set will see; keeps sums and JSON exact

// parseCount reads a number between 0 and limit.
func parseCount(s string, limit int64) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > limit {
		return 0, fmt.Errorf("%s is not a number between 0 and %d", quote(s), limit)
	}
	return n, nil
}

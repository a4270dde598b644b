package main

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/internal/audit"
	"github.com/evercache/evercache/internal/censor"
)

// noAudit is the file name that asks for no audit log.
const noAudit = "off"

// auditFlag is the help of --audit-log.
const auditFlag = `  --audit-log FILE write to this audit log that it begins and how it ends. That
                   of a running evercache serve cannot be used. off: write
                   none. Default: EVERCACHE_AUDIT_LOG
`

// auditNote writes down what a command does. What cannot be written down is not begun.
type auditNote struct {
	file string // "": none
	what string // a restore, switchover or drill
}

// noteTo is where a command writes what it does.
func noteTo(what, flag string, cfg config.Config) auditNote {
	file := cmp.Or(flag, cfg.Server.AuditLog)
	if file == noAudit {
		file = ""
	}
	return auditNote{file, what}
}

// begun is written before anything is done.
func (n auditNote) begun(event string, e audit.Event) error {
	if n.file == "" {
		return nil
	}
	e.Event, e.Outcome = event, "ok"
	if err := n.write(e); err != nil {
		return fmt.Errorf("the audit log: %w; nothing was done; name another file with --audit-log FILE, or --audit-log off to write none", err)
	}
	return nil
}

// ended is written at the end.
func (n auditNote) ended(inv invocation, event string, e audit.Event) (ok bool) {
	if n.file == "" {
		return true
	}
	e.Event = event
	if err := n.write(e); err != nil {
		say(inv.stderr, "evercache %s: the audit log has no line of how it ended (%s): %v\n", n.what, e.Outcome, err)
		return false
	}
	return true
}

func (n auditNote) write(e audit.Event) error {
	e.Actor = fmt.Sprintf("uid:%d", os.Getuid())
	if by := os.Getenv("SUDO_UID"); by != "" {
		e.Actor += " sudo-uid:" + by
	}
	if host, err := os.Hostname(); err == nil {
		e.Remote = host
	}
	e.Detail = censor.Text(e.Detail, 400)
	return audit.Append(context.Background(), n.file, e) // also after Ctrl-C: how it ended is to be known
}

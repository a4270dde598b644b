package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/evercache/evercache/internal/audit"
)

func auditCommand() command {
	return command{
		name:    "audit",
		summary: "Check that an audit log is as it was written (audit verify)",
		usage:   " verify FILE... [--has HASH]",
		help: `Reads audit logs (EVERCACHE_AUDIT_LOG) and checks that no line was changed, taken
out or put in. Several files are parts of one log, the oldest first: what logrotate
has moved away, then the current one. "-" is the standard input.

It cannot tell whether lines are missing at the end or the last one was changed.
Whoever can write the file can write all of it anew. Keep the last hash that it
prints elsewhere, and ask for it later with --has.

Flags:
  --has HASH   fail where no line has this hash, which was the last one before

Examples:
  evercache audit verify /var/log/evercache/audit.log
  evercache audit verify audit.log.2 audit.log.1 audit.log
  evercache audit verify --has ef1e919c2b630ebb10e540d8742b7a76 audit.log
  zcat audit.log.1.gz | evercache audit verify -

Exit status: 0 as it was written; 1 it was changed, or a file cannot be read;
2 wrong command line.
`,
		run: auditVerify,
	}
}

func auditVerify(inv invocation, args []string) int {
	c := auditCommand()
	if len(args) > 0 && (args[0] == "-h" || args[0] == "-help" || args[0] == "--help") {
		c.printHelp(inv.stdout)
		return exitOK
	}
	if len(args) < 2 || args[0] != "verify" {
		say(inv.stderr, "evercache audit: want 'evercache audit verify FILE...'\nRun 'evercache audit --help' for usage.\n")
		return exitUsage
	}
	var fs flag.FlagSet
	has := fs.String("has", "", "")
	files, status, ok := c.mixed(inv, &fs, args[1:])
	if !ok {
		return status
	}
	if len(files) == 0 {
		return c.wrong(inv, errors.New("want a FILE"))
	}
	found := *has == ""
	ctx, stop := untilSignal()
	defer stop()
	before := ""
	for i, name := range files {
		s, err := verifyFile(ctx, inv, name, func(hash string) { found = found || hash == *has })
		if err == nil && i > 0 && s.Lines > 0 && s.Begins != before {
			err = errors.New("it does not go on where the file before it ends: a file is missing, or they are in another order")
		}
		if err != nil {
			say(inv.stderr, "evercache audit verify: %s: %v\n", name, err)
			return exitFailed
		}
		say(inv.stdout, "%s: %s\n", name, told(s))
		if s.Ends != "" {
			before = s.Ends
		}
	}
	if !found {
		say(inv.stderr, "evercache audit verify: no line has the hash %.64q: lines are missing at the end, the last one was changed, or it was written anew\n", *has)
		return exitFailed
	}
	return exitOK
}

func verifyFile(ctx context.Context, inv invocation, name string, line func(hash string)) (audit.Summary, error) {
	in, _, err := openInput(ctx, inv, name)
	if err != nil {
		return audit.Summary{}, err
	}
	defer in.Close()
	return audit.VerifyEach(in, line)
}

func told(s audit.Summary) string {
	if s.Lines == 0 {
		return "empty"
	}
	text := fmt.Sprintf("as it was written: %d lines, %d to %d, %s to %s, last hash %s",
		s.Lines, s.First, s.Last, s.From.Format(time.RFC3339), s.To.Format(time.RFC3339), s.Ends)
	if s.Lost > 0 {
		text += fmt.Sprintf("; it says itself that %d events are missing", s.Lost)
	}
	if s.Cut > 0 {
		text += fmt.Sprintf("; lines that were cut off when a process died: %d", s.Cut)
	}
	return text
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/evercache/evercache/internal/backup"
	"github.com/evercache/evercache/internal/censor"
)

func verifyCommand() command {
	return command{
		name:    "verify",
		summary: "Check that backups are whole and as they were written",
		usage:   " FILE... [--show-keys]",
		help: `Reads files of evercache backup to their ends and checks all of them: the checksum
of each record, the counts, and the SHA-256 over everything. It names the first
record that is broken. "-" is the standard input. It needs no Redis.

Flags:
  --show-keys   name the key of a broken record, where it can still be read

Examples:
  evercache verify /var/backups/evercache-20261130T180000Z.backup
  ssh backup-host cat cart.backup | evercache verify -

Exit status: 0 whole; 1 broken, or it cannot be read; 2 wrong command line.
`,
		run: runVerify,
	}
}

func runVerify(inv invocation, args []string) int {
	c := verifyCommand()
	var fs flag.FlagSet
	keys := fs.Bool("show-keys", false, "")
	files, status, ok := c.mixed(inv, &fs, args)
	if !ok {
		return status
	}
	if len(files) == 0 {
		return c.wrong(inv, errors.New("want a FILE"))
	}
	ctx, stop := untilSignal()
	defer stop()
	status = exitOK
	for _, name := range files {
		s, err := verifyBackup(ctx, inv, name)
		if err != nil {
			say(inv.stderr, "evercache verify: %s: %v\n", name, withKey(err, *keys))
			status = exitFailed
			continue
		}
		say(inv.stdout, "%s: %s\n", name, wholeText(s))
	}
	return status
}

func verifyBackup(ctx context.Context, inv invocation, name string) (backup.Summary, error) {
	in, _, err := openInput(ctx, inv, name)
	if err != nil {
		return backup.Summary{}, err
	}
	defer in.Close()
	show, clear := inv.meter("verify")
	defer clear()
	return backup.Verify(ctx, in, show)
}

// withKey adds the key of a broken record.
func withKey(err error, show bool) error {
	broken, ok := errors.AsType[*backup.BrokenError](err)
	if !ok || !show || broken.Key == "" {
		return err
	}
	return fmt.Errorf("%w; its key reads %s", err, censor.Quote(broken.Key, 200))
}

func wholeText(s backup.Summary) string {
	text := fmt.Sprintf("whole: %s (%d with an end), %d bytes, of %s, %s, database %d, by evercache %s",
		counted(s.Footer.Records, "record"), s.Expires, s.Footer.Bytes, s.Header.Began.UTC().Format(time.RFC3339), s.Header.Mode, s.Header.DB, s.Header.Evercache)
	if len(s.Sections) > 0 {
		text += ", Redis " + s.Sections[0].RedisVersion
	}
	if s.Header.Match != "" || s.Header.Prefix != "" {
		text += ", some keys only (--match, --prefix)"
	}
	if s.Footer.TooLarge > 0 {
		text += fmt.Sprintf("; left out for their size: %d", s.Footer.TooLarge)
	}
	if s.Footer.Moving > 0 {
		text += fmt.Sprintf("; slots that kept moving, whose keys may be missing: %d", s.Footer.Moving)
	}
	return censor.Text(text, 600)
}

package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/evercache/evercache/internal/doctor"
	"github.com/evercache/evercache/internal/survey"
)

func doctorCommand() command {
	return command{
		name:    "doctor",
		summary: "Say what is wrong with Redis, the sentinels and the settings",
		usage:   " [-o text|json] [--timeout 3s] [--plan standalone|sentinel|cluster]",
		help: `Looks at the settings, and at every server that they lead to: all sentinels, every
master and replica, every node of a Cluster. It says what is wrong or may go wrong,
why that matters, and what to do. It uses the settings of evercache serve and logs
in where evercache would. It only asks, and changes nothing.

With --plan it says what a change to another mode would meet: which variables have
to change, whether REDIS_HOST is the master at this moment, and whether data would
be left behind. It reads the environment as it is, and looks at both sides.

Flags:
  -o text|json     what is printed; json is stable: docs/guide/doctor.md
  --timeout 3s     how long to look; one server has a third of it
  --plan MODE      what a change to standalone, sentinel or cluster would meet

Examples:
  evercache doctor
  evercache doctor -o json | jq '.findings[] | select(.severity == "error")'
  REDIS_HOST=10.0.0.7 evercache doctor --plan standalone
  REDIS_CLUSTER_NODES=10.0.0.7:6379 evercache doctor --plan cluster

Exit status: 0 well, or info only; 1 warnings; 2 errors, or wrong flags or
configuration, or the report cannot be written.
`,
		run: runDoctor,
	}
}

// The doctor's exit statuses, by what it has found. A wrong command line is exitUsage,
// which is that of errors.
var doctorStatus = map[string]int{doctor.StatusOK: exitOK, doctor.StatusWarnings: exitFailed, doctor.StatusErrors: exitUsage}

// doctorFlags are what may be asked of the doctor.
type doctorFlags struct {
	output  string
	timeout time.Duration
	plan    string
}

func (f doctorFlags) check() error {
	switch {
	case !slices.Contains([]string{"text", "json"}, f.output):
		return fmt.Errorf("-o %.20q: want text or json", f.output)
	case f.timeout < 100*time.Millisecond || f.timeout > 10*time.Minute:
		return fmt.Errorf("--timeout %v: want 100ms to 10m", f.timeout)
	}
	if _, known := doctor.Modes[f.plan]; f.plan != "" && !known {
		return fmt.Errorf("--plan %.20q: want standalone, sentinel or cluster", f.plan)
	}
	return nil
}

func runDoctor(inv invocation, args []string) int {
	var fs flag.FlagSet
	var f doctorFlags
	fs.StringVar(&f.output, "o", "text", "")
	fs.DurationVar(&f.timeout, "timeout", survey.DefaultTimeout, "")
	fs.StringVar(&f.plan, "plan", "", "")
	if status, ok := doctorCommand().parse(inv, &fs, args); !ok {
		return status
	}
	if err := f.check(); err != nil {
		say(inv.stderr, "evercache doctor: %v\nRun 'evercache doctor --help' for usage.\n", err)
		return exitUsage
	}
	r := doctor.Run(context.Background(), doctor.Request{Environ: inv.environ, Timeout: f.timeout, Plan: f.plan})
	if err := f.print(inv, r); err != nil {
		say(inv.stderr, "evercache doctor: %v\n", err)
		return exitUsage
	}
	return doctorStatus[r.Status]
}

func (f doctorFlags) print(inv invocation, r doctor.Report) error {
	text := r.Text(doctorColours(inv))
	if f.output == "json" {
		data, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		text = string(data) + "\n"
	}
	return deliver(inv.stdout, text)
}

// doctorColours reports whether a terminal shows what is printed, and nobody minds colours.
func doctorColours(inv invocation) bool {
	for _, entry := range inv.environ {
		if name, value, _ := strings.Cut(entry, "="); name == "NO_COLOR" && value != "" || entry == "TERM=dumb" {
			return false
		}
	}
	f, ok := inv.stdout.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

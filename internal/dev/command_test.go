package dev

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOrdersAreRead(t *testing.T) {
	for line, want := range map[string]Command{
		"kill master":               {"kill", []string{"master"}},
		"  KILL  Redis-1  ":         {"kill", []string{"redis-1"}},
		"stop sentinel-1 redis-2":   {"stop", []string{"sentinel-1", "redis-2"}},
		"start":                     {"start", nil},
		"continue redis-1":          {"start", []string{"redis-1"}},
		"failover":                  {"failover", nil},
		"failover redis-5":          {"failover", []string{"redis-5"}},
		"restart-empty master":      {"restart-empty", []string{"master"}},
		"status":                    {"status", nil},
		"?":                         {"help", nil},
		"q":                         {"quit", nil},
		"exit":                      {"quit", nil},
		"kill 127 " + "redis_1":     {"kill", []string{"127", "redis_1"}},
		"kill\tmaster\r\n":          {"kill", []string{"master"}},
		"restart-empty  sentinel-3": {"restart-empty", []string{"sentinel-3"}},
	} {
		got, err := Parse(line)
		if err != nil {
			t.Errorf("%q: %v", line, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", line, diff)
		}
	}
}

func TestWhatIsNoOrderIsRefusedWithAReason(t *testing.T) {
	for line, want := range map[string]string{
		"":                                   "nothing was said",
		"   ":                                "nothing was said",
		"dance":                              `"dance"; orders are kill, stop`,
		"kill":                               "kill what?",
		"stop":                               "stop what?",
		"restart-empty":                      "restart-empty what?",
		"failover redis-1 redis-2":           "at most 1 names",
		"status redis-1":                     "status takes no name",
		"quit now":                           "quit takes no name",
		"kill ../../etc":                     "is no name of a server",
		"kill -9":                            "is no name of a server",
		"kill \x1b[2J":                       "is no name of a server",
		"kill " + strings.Repeat("a", 40):    "is no name of a server",
		"kill" + strings.Repeat(" a", 100):   "at most 64 names",
		"kill " + strings.Repeat("a ", 4096): "at most 4096",
	} {
		_, err := Parse(line)
		if !errors.Is(err, ErrCommand) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want an error with %q", line, err, want)
		}
		if err != nil && (len(err.Error()) > 300 || strings.ContainsAny(err.Error(), "\x1b\n")) {
			t.Errorf("%.60q: the error is %.400q", line, err)
		}
	}
}

func TestEveryOrderIsInTheHelp(t *testing.T) {
	for _, v := range verbs {
		if !strings.Contains(Help(), "  "+v.name) {
			t.Errorf("%s is not in the help", v.name)
		}
	}
	for alias, name := range aliases {
		if c, err := (verb{name: name, most: 1}).command(nil); err != nil || c.Verb != name {
			t.Errorf("%s: %v", alias, err)
		}
	}
	for line := range strings.Lines(Help()) {
		if len(line) > 100 {
			t.Errorf("too long: %s", line)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"kill master", "start", "restart-empty redis-1 redis-2", "?", "\x00", "kill é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, err := Parse(line)
		if err != nil {
			if !errors.Is(err, ErrCommand) {
				t.Errorf("%q: %v", line, err)
			}
			return
		}
		again, err := Parse(c.String())
		if err != nil || cmp.Diff(c, again) != "" {
			t.Errorf("%q was read as %v, which is read as %v, %v", line, c, again, err)
		}
		for _, name := range c.Targets {
			if !isName(name) {
				t.Errorf("%q names %q", line, name)
			}
		}
	})
}

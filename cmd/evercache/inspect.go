package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/internal/censor"
)

func inspectCommand() command {
	return command{
		name:    "inspect",
		summary: "Compare what a running service has in memory with Redis",
		usage:   " [--url URL] [--most 100] [--timeout 40s] [-o text|json] CLASS",
		help: `Asks a running evercache to choose entries of a class at random, of those that its
memory calls coherent, and to compare them with what Redis holds. What differs is
looked at again after 1.2 seconds. Nothing is changed.

The service is found through EVERCACHE_LISTEN, and EVERCACHE_TOKEN is shown to it.

Flags:
  --url URL        ask this one instead, e.g. https://cache.example:3000
  --most 100       how many entries at most; 1 to 1000
  --timeout 40s    how long to wait
  -o text          or json

Examples:
  evercache inspect product
  evercache inspect --most 1000 -o json product

Exit status: 0 nothing is wrong; 1 something is, the service or Redis does not
answer, or nobody has used the class since the service began; 2 wrong flags or
configuration.
`,
		run: inspect,
	}
}

func inspect(inv invocation, args []string) int {
	c := inspectCommand()
	var fs flag.FlagSet
	given := fs.String("url", "", "")
	most := fs.Int("most", 100, "")
	timeout := fs.Duration("timeout", 40*time.Second, "")
	output := fs.String("o", "text", "")
	rest, status, ok := c.mixed(inv, &fs, args)
	if !ok {
		return status
	}
	errs := []error{wrongFormat(*output), wrongSpan("--timeout", *timeout, time.Second, 10*time.Minute)}
	if *most < 1 || *most > 1000 {
		errs = append(errs, fmt.Errorf("--most %d: want 1 to 1000", *most))
	}
	if len(rest) != 1 {
		errs = append(errs, errors.New("want one class"))
	}
	if err := errors.Join(errs...); err != nil {
		return c.wrong(inv, err)
	}
	d, err := daemonOf(inv.environ, *given)
	if err != nil {
		return wrongConfig(inv, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	body, err := d.inspect(ctx, rest[0], *most)
	if err != nil {
		say(inv.stderr, "evercache inspect: %v\n", err)
		return exitFailed
	}
	var found inspection
	if err := json.Unmarshal(body, &found); err != nil || found.Class != rest[0] || found.Checked < 0 || found.Wrong < 0 || found.Wrong > found.Checked {
		say(inv.stderr, "evercache inspect: %s does not answer like evercache\n", d.where())
		return exitFailed
	}
	if *output == "json" {
		say(inv.stdout, "%s", body)
	} else {
		say(inv.stdout, "%s", found.text())
	}
	if found.unused() {
		say(inv.stderr, "evercache inspect: nobody has read or written class %q since the service began; is the name right?\n", rest[0])
		return exitFailed
	}
	if found.Wrong > 0 {
		return exitFailed
	}
	return exitOK
}

// daemonOf is the service at a URL, or the one that the settings name.
func daemonOf(environ []string, given string) (runningDaemon, error) {
	cfg, err := config.FromEnv(environ)
	if err != nil {
		return runningDaemon{}, err
	}
	if given != "" {
		return daemonAt(given, cfg)
	}
	return daemonHere(environ, cfg)
}

type inspection struct {
	Class   string `json:"class"`
	Used    *bool  `json:"used"` // nil: the service is older than the question
	Checked int    `json:"checked"`
	Wrong   int    `json:"wrong"`
	Worst   []struct {
		KeySHA256  string  `json:"keySha256"`
		AgeSeconds float64 `json:"ageSeconds"`
		Missing    bool    `json:"missing"`
	} `json:"worst"`
}

// unused reports whether the service knows no class of that name.
func (f inspection) unused() bool { return f.Used != nil && !*f.Used }

func (f inspection) text() string {
	var text strings.Builder
	entries := "1 entry"
	if f.Checked != 1 {
		entries = fmt.Sprintf("%d entries", f.Checked)
	}
	text.WriteString(fmt.Sprintf("class %s: %s of memory compared with Redis, %d wrong\n", censor.Text(f.Class, maxAnswer), entries, f.Wrong))
	for _, w := range f.Worst {
		what, key := "Redis holds another value", censor.Text(w.KeySHA256, 64)
		if w.Missing {
			what = "Redis holds no value"
		}
		text.WriteString(fmt.Sprintf("  key with SHA-256 %s…: %s; in memory since %v\n", key, what, time.Duration(w.AgeSeconds*float64(time.Second)).Round(time.Millisecond)))
	}
	if f.Checked == 0 {
		text.WriteString("  nothing of the class is in memory and called coherent\n")
	}
	return text.String()
}

// inspect is the answer of the service.
func (d runningDaemon) inspect(ctx context.Context, class string, most int) ([]byte, error) {
	asked, err := json.Marshal(map[string]any{"class": class, "most": most})
	if err != nil {
		return nil, err
	}
	u := *d.url
	u.Path, u.RawQuery = "/v1/inspect", ""
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(asked))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := d.send(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.where(), &noAnswer{err})
	}
	if resp.StatusCode != http.StatusOK {
		var fault struct {
			Error struct{ Code, Message string } `json:"error"`
		}
		if json.Unmarshal(body, &fault) == nil && fault.Error.Code != "" {
			return nil, fmt.Errorf("%s answers %s: %s", d.where(), censor.Text(fault.Error.Code, 60), censor.Text(fault.Error.Message, 300))
		}
		return nil, fmt.Errorf("%s answers %s", d.where(), statusLine(resp))
	}
	return body, nil
}

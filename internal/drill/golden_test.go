package drill

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the reports of testdata instead of comparing them")

// sample is a report with something in every field.
func sample() Report {
	r := Report{
		Outcome: Missed, ID: "abc", At: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC), Mode: "sentinel", MasterName: "shop|<b>",
		Trigger: Kill, Did: "redis-1 was killed", Rate: 200, TrafficMS: 10000, TriggerMS: new(2000.0),
		Servers:   Marks{SuspectedMS: new(1500.0), AgreedMS: new(1600.5), PromotedMS: new(1800.0), SwitchedMS: new(1900.0), ConvergedMS: new(3000.0)},
		LostBytes: new(int64(42)), Faults: []string{"ended early: <interrupt>"},
		Events: []Event{{1500, "sentinel 10.0.0.1:26379", "holds the master | down"}, {1800, "10.0.0.2:6379", "says that it is master"}},
	}
	ever := count("evercache", append(landed(0, 2*second), Call{At: 2 * second, Op: Read, Result: Memory}, Call{At: 3 * second, Op: Write, Result: Memory, Took: 250 * time.Millisecond}), 2*second, 10*second)
	ever.Lost, ever.Undone = new(0), new(0)
	plain := count("plain client", append(landed(0, 2*second), Call{At: 3 * second, Op: Read, Result: Failed}), 2*second, 10*second)
	plain.FirstError = "connection\nrefused <&>"
	r.Clients = []Client{ever, plain}
	r.Gates = Gates{Gap: 3 * second}.judge(ever)
	return r
}

func TestReportsLookAsTheyShould(t *testing.T) {
	r := sample()
	for name, got := range map[string]string{"report.txt": r.Text(), "report.md": r.Markdown(), "report.svg": r.SVG()} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil || got != string(want) {
			t.Errorf("%s (%v) is not as it was; -update writes it:\n%s", path, err, got)
		}
	}
}

// What a server has sent is text in every form of the report.
func TestWhatServersSayIsOnlyText(t *testing.T) {
	const evil = "![x](http://evil/x.png) <img src=x> `a` *b* | c\n# d [e](javascript:f) \x1b]0;g\a &lt;"
	r := sample()
	r.MasterName, r.Did, r.Faults, r.Events = evil, evil, []string{evil}, []Event{{1, evil, evil}}
	page := r.Markdown()
	for _, bad := range []string{"![x]", "[e](", "<img", " *b*", "\n# d", "\x1b", "\a"} {
		rest := strings.ReplaceAll(page, code(evil), "")
		if strings.Contains(rest, bad) {
			t.Errorf("%q is in the page:\n%s", bad, page)
		}
	}
	if n := strings.Count(code(evil), "`"); n != 2 {
		t.Errorf("%d backquotes", n)
	}
	if text := r.Text() + r.SVG(); strings.ContainsAny(text, "\x1b\a") {
		t.Errorf("a terminal is told what to do: %q", text)
	}
}

func TestThePictureIsWellFormed(t *testing.T) {
	for name, r := range map[string]Report{"full": sample(), "empty": {}} {
		for d := xml.NewDecoder(strings.NewReader(r.SVG())); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

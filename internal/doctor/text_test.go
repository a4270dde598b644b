package doctor

import (
	"strings"
	"testing"

	"github.com/evercache/evercache/health"
)

func TestTextIsColouredByItsSeverity(t *testing.T) {
	t.Parallel()
	f := Finding{Finding: health.Finding{Code: "a-code", Severity: health.SeverityWarning, Title: "A title", Detail: strings.Repeat("word ", 60), Fix: "Do."}, Why: "So."}
	r := NewReport(nil, []Finding{f})
	if got := r.Text(true); !strings.Contains(got, "\x1b[1;33mwarning\x1b[0m  a-code: A title") {
		t.Errorf("coloured: %q", got)
	}
	got := r.Text(false)
	if strings.Contains(got, "\x1b") {
		t.Errorf("plain: %q", got)
	}
	for line := range strings.Lines(got) {
		if len(line) > columns+1 {
			t.Errorf("a line of %d bytes: %q", len(line), line)
		}
	}
	if r.Summary() != "0 errors, 1 warning, 0 info" {
		t.Errorf("summary %q", r.Summary())
	}
}

// One fault of three servers is shown once, and counted once.
func TestTheSummaryCountsWhatIsShown(t *testing.T) {
	t.Parallel()
	var found []Finding
	for _, subject := range []string{"10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379"} {
		found = append(found, Finding{Finding: health.Finding{Code: "a-code", Severity: health.SeverityInfo, Title: "A title"}, Subject: subject})
	}
	found = append(found, Finding{Finding: health.Finding{Code: "b-code", Severity: health.SeverityInfo, Title: "Another"}})
	r := NewReport(nil, found)
	if got, want := r.Summary(), "no error, no warning, 2 info"; got != want || strings.Count(r.Text(false), "\ninfo  ") != 2 {
		t.Errorf("%q, want %q:\n%s", got, want, r.Text(false))
	}
}

// What a server says cannot write to a terminal.
func TestNoControlCharacterIsShown(t *testing.T) {
	t.Parallel()
	c := Check{Code: "a-code", Title: "A title", Why: "So.", Fix: "Do."}
	f := c.finding(seen{subject: "10.0.0.1\x1b[31m", detail: "a\r\nb\x07"})
	if got := NewReport(nil, []Finding{f}).Text(false); strings.ContainsAny(got, "\x1b\r\x07") {
		t.Errorf("shown: %q", got)
	}
}

func FuzzWrap(f *testing.F) {
	f.Add("a text with words", 7)
	f.Fuzz(func(t *testing.T, text string, width int) {
		lines := wrap(text, max(width, 1)%200)
		if got, want := strings.Join(lines, " "), strings.Join(strings.Fields(text), " "); got != want {
			t.Errorf("wrap changed %q to %q", want, got)
		}
	})
}

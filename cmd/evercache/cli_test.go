package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/cli.md instead of comparing it")

const cliPreface = `# The command line

*Made by ` + "`go test ./cmd/evercache -run TestTheCommandLineIsDocumented -update`" + ` from the texts of the program; a test compares them.*

Settings come from the environment: [configuration](configuration.md). A command that fails says why on the standard error.

`

// TestTheCommandLineIsDocumented: docs/cli.md has what the program prints.
func TestTheCommandLineIsDocumented(t *testing.T) {
	var b strings.Builder
	b.WriteString(cliPreface + "| command | |\n|---|---|\n")
	for _, c := range commands() {
		b.WriteString("| [`evercache " + c.name + "`](#evercache-" + c.name + ") | " + strings.ReplaceAll(c.summary, "|", "\\|") + " |\n")
	}
	for _, c := range commands() {
		b.WriteString("\n## evercache " + c.name + "\n\n```\nevercache " + c.name + c.usage + "\n\n" + strings.TrimSuffix(c.help, "\n") + "\n```\n")
	}
	path := filepath.Join("..", "..", "docs", "cli.md")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != b.String() {
		t.Errorf("%s is stale: go test ./cmd/evercache -run TestTheCommandLineIsDocumented -update", path)
	}
}

// Every command explains itself in the same form.
func TestEveryCommandIsExplainedInOneForm(t *testing.T) {
	for _, c := range commands() {
		for _, want := range []string{"Examples:\n", "Exit status: "} {
			if c.name != "version" && !strings.Contains(c.help, want) {
				t.Errorf("the help of %s has no %q", c.name, want)
			}
		}
		if c.summary == "" || strings.HasSuffix(c.summary, ".") || len(c.summary) > 70 {
			t.Errorf("%s: %q is no line for a list", c.name, c.summary)
		}
	}
}

func TestWordsOfACommand(t *testing.T) {
	c := command{name: "x", usage: " init|check [--timeout 10s] NAME", help: "Flags:\n  --timeout 10s  how long\n  -o json\nExamples:\n  evercache x\n"}
	if got, want := c.words(), []string{"--help", "--timeout", "-o", "check", "init"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestBashCompletes by the script, in a real shell.
func TestBashCompletes(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	for typed, want := range map[string]string{
		"serv":              "serve",
		"revoke i":          "init",
		"revoke --t":        "--timeout",
		"help ver":          "verify version",
		"audit v":           "verify",
		"dev re":            "restart-empty",
		"history --w":       "--watch",
		"completion b":      "bash",
		"nothing ":          "",
		"healthcheck --str": "--strict",
	} {
		words := strings.Split("evercache "+typed, " ")
		script := bashCompletion() + `COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _evercache; printf '%s' "${COMPREPLY[*]}"`
		out, err := exec.CommandContext(t.Context(), bash, append([]string{"-c", script, "bash"}, words...)...).CombinedOutput()
		if err != nil || string(out) != want {
			t.Errorf("%q completes to %q, %v; want %q", typed, out, err, want)
		}
	}
}

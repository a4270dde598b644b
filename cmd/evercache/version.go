package main

import (
	"encoding/json"
	"flag"
	"runtime"

	"github.com/evercache/evercache/evercacheprom"
)

func versionCommand() command {
	return command{
		name:    "version",
		summary: "Print the version",
		usage:   " [-o json]",
		help: `Prints which evercache this is: version, revision, Go, platform.

Flags:
  -o format   text (default) or json

Examples:
  evercache version
  evercache version -o json | jq -r .version
`,
		run: version,
	}
}

func version(inv invocation, args []string) int {
	c := versionCommand()
	var fs flag.FlagSet
	format := fs.String("o", "text", "")
	if status, ok := c.parse(inv, &fs, args); !ok {
		return status
	}
	b, platform := evercacheprom.ReadBuild(), runtime.GOOS+"/"+runtime.GOARCH
	switch *format {
	case "text":
		say(inv.stdout, "evercache %s", b.Version)
		if b.Revision != "" {
			say(inv.stdout, " (%s)", b.Revision)
		}
		say(inv.stdout, " %s %s\n", b.Go, platform)
	case "json":
		return printJSON(inv, struct {
			evercacheprom.Build
			Platform string `json:"platform"`
		}{b, platform})
	default:
		say(inv.stderr, "evercache version: -o %.40q: want text or json\n", *format)
		return exitUsage
	}
	return exitOK
}

func printJSON(inv invocation, v any) int {
	if err := json.NewEncoder(inv.stdout).Encode(v); err != nil {
		say(inv.stderr, "evercache: %v\n", err)
		return exitFailed
	}
	return exitOK
}

package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

func completionCommand() command {
	return command{
		name:    "completion",
		summary: "Print the completion script of a shell (completion bash)",
		usage:   " bash|zsh",
		help: `Prints a script that lets the shell complete commands and flags.

Examples:
  source <(evercache completion bash)   # in ~/.bashrc
  evercache completion bash > /etc/bash_completion.d/evercache
  source <(evercache completion zsh)    # in ~/.zshrc, after compinit

Exit status: 0; 2 wrong command line.
`,
		run: completion,
	}
}

func completion(inv invocation, args []string) int {
	c := completionCommand()
	shell := ""
	if len(args) == 1 {
		shell = args[0]
	}
	switch shell {
	case "-h", "-help", "--help":
		c.printHelp(inv.stdout)
	case "bash":
		say(inv.stdout, "%s", bashCompletion())
	case "zsh": // it understands the script of bash
		say(inv.stdout, "autoload -Uz bashcompinit && bashcompinit\n%s", bashCompletion())
	default:
		say(inv.stderr, "evercache completion: want 'evercache completion bash' or 'evercache completion zsh'\nRun 'evercache completion --help' for usage.\n")
		return exitUsage
	}
	return exitOK
}

func bashCompletion() string {
	var b strings.Builder
	b.WriteString("_evercache() {\n  local words=\"\" cur=\"${COMP_WORDS[COMP_CWORD]}\"\n  if [ \"$COMP_CWORD\" -eq 1 ]; then\n")
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	fmt.Fprintf(&b, "    words=%q\n  else\n    case \"${COMP_WORDS[1]}\" in\n", strings.Join(append(names, "help"), " "))
	for _, c := range commands() {
		fmt.Fprintf(&b, "    %s) words=%q ;;\n", c.name, strings.Join(c.words(), " "))
	}
	fmt.Fprintf(&b, "    help) words=%q ;;\n    esac\n  fi\n", strings.Join(names, " "))
	b.WriteString("  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -o default -F _evercache evercache\n")
	return b.String()
}

var (
	flagInHelp  = regexp.MustCompile(`(?m)^  (--?[a-z][a-z-]*)`)
	wordInUsage = regexp.MustCompile(`^[a-z][a-z|-]*$`)
)

// words are what may follow the name of a command: what its usage line names, and the flags
// that its help explains.
func (c command) words() []string {
	var words []string
	for part := range strings.FieldsSeq(c.usage) {
		if wordInUsage.MatchString(part) {
			words = append(words, strings.Split(part, "|")...)
		}
	}
	for _, found := range flagInHelp.FindAllStringSubmatch(c.help, -1) {
		words = append(words, found[1])
	}
	words = append(words, "--help")
	slices.Sort(words)
	return slices.Compact(words)
}

package main

import (
	"bufio"
	"context"
	"io"
	"strings"
)

// confirmed asks a question and reads the answer: yes or y. The end of ctx is a no: a prompt
// must not hold up Ctrl-C.
func confirmed(ctx context.Context, in io.Reader, out io.Writer, question string) bool {
	if in == nil {
		return false
	}
	say(out, "%s Type yes: ", question)
	answer := make(chan string, 1)
	go func() { // a keyboard that is silent holds it until the process ends
		line, _ := bufio.NewReader(io.LimitReader(in, 64)).ReadString('\n')
		answer <- line
	}()
	line := ""
	select {
	case line = <-answer:
	case <-ctx.Done():
	}
	if !strings.HasSuffix(line, "\n") { // the cursor still stands behind the question
		say(out, "\n")
	}
	line = strings.ToLower(strings.TrimSpace(line))
	return line == "yes" || line == "y"
}

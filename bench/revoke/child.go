package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// taskEnv makes this program do one task for another process of itself: the
// question on its standard input, the answer on its standard output, JSON both.
const taskEnv = "EVERCACHE_BENCH_REVOKE_TASK"

const (
	taskSnapshot = "snapshot"
	taskWitness  = "witness"
)

func help(ctx context.Context, task string, in io.Reader, out io.Writer) error {
	switch task {
	case taskSnapshot:
		return answer(in, out, func(p place) (snapshot, error) { return takeSnapshot(ctx, p) })
	case taskWitness:
		return answer(in, out, func(w watched) (seen, error) { return witness(ctx, w, out) })
	}
	return fmt.Errorf("there is no task %q", task)
}

func answer[Q, A any](in io.Reader, out io.Writer, do func(Q) (A, error)) error {
	var q Q
	if err := json.NewDecoder(in).Decode(&q); err != nil {
		return err
	}
	a, err := do(q)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(a)
}

// child is another process of this program.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startChild starts it with a question. It is killed when ctx ends.
func startChild(ctx context.Context, task string, question any) (*child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.CommandContext(ctx, exe)}
	c.cmd.Env = append(os.Environ(), taskEnv+"="+task)
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	if err := errors.Join(json.NewEncoder(c.in).Encode(question), c.in.Close()); err != nil {
		c.kill()
		return nil, err
	}
	return c, nil
}

// end reads the answer and waits for the process.
func (c *child) end(answer any) error {
	err := json.NewDecoder(c.out).Decode(answer)
	return errors.Join(c.cmd.Wait(), err)
}

// kill ends a process that is of no use any more.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait() // it was killed
}

// ask is a whole conversation.
func ask(ctx context.Context, task string, question, answer any) error {
	c, err := startChild(ctx, task, question)
	if err != nil {
		return fmt.Errorf("start a process for the %s: %w", task, err)
	}
	if err := c.end(answer); err != nil {
		return fmt.Errorf("the process for the %s: %w", task, err)
	}
	return nil
}

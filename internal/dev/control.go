package dev

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// Times and sizes on the socket.
const (
	askTimeout    = 5 * time.Second // to send an order
	answerTimeout = time.Minute     // to carry it out; a server that does not start takes a quarter of it
	maxAnswer     = 1 << 20
	maxCallers    = 16
)

// order is a command that another terminal has sent, or the keyboard. Whoever carries it out answers once.
type order struct {
	line   string
	answer chan<- answer
}

// answer is what a caller gets.
type answer struct {
	Text  string `json:"text"`
	Error string `json:"error,omitempty"`
	Usage bool   `json:"usage,omitempty"` // the order was no order
}

// listener takes orders on the socket. close ends its goroutines.
type listener struct {
	ln     net.Listener
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// listen takes orders until close. The caller holds the lock of the name, so a socket that is there is a
// dead one.
func (r runtimeDir) listen(name string, orders chan<- order) (*listener, error) {
	path := r.socket(name)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the socket for orders: %w", err)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("the socket for orders: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("the socket for orders: %w", err), ln.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &listener{ln: ln, cancel: cancel}
	l.wg.Go(func() { l.accept(ctx, orders) })
	return l, nil
}

func (l *listener) accept(ctx context.Context, orders chan<- order) {
	room := make(chan struct{}, maxCallers)
	for {
		conn, err := l.ln.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(50 * time.Millisecond) // no file descriptors, mostly
			continue
		}
		select {
		case room <- struct{}{}:
		default: // whoever opens so many does not wait for answers
			_ = conn.Close()
			continue
		}
		l.wg.Go(func() {
			defer func() { <-room }()
			serveCaller(ctx, conn, orders)
		})
	}
}

// serveCaller reads one order and writes one answer. Whoever has taken the order answers it in any case.
func serveCaller(ctx context.Context, conn net.Conn, orders chan<- order) {
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(askTimeout))
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	line, err := bufio.NewReaderSize(io.LimitReader(conn, maxLine+1), maxLine+1).ReadString('\n')
	if err != nil {
		return // not one of us
	}
	answers := make(chan answer, 1)
	select {
	case orders <- order{strings.TrimSpace(line), answers}:
	case <-ctx.Done():
		return
	}
	text, err := json.Marshal(<-answers)
	if err != nil {
		return
	}
	_ = conn.SetWriteDeadline(time.Now().Add(askTimeout))
	_, _ = conn.Write(append(text, '\n')) // the caller may be gone
}

// close waits until every caller has what was answered him. Nobody takes orders any more, and those that
// were taken are answered.
func (l *listener) close() error {
	l.cancel()
	err := l.ln.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	l.wg.Wait()
	return err
}

// NotRunningError means that there is nobody to take an order.
type NotRunningError struct {
	Name   string
	Others []string // the names of those that run
}

func (e *NotRunningError) Error() string {
	text := "nothing runs: start it with 'evercache dev', in another terminal"
	if e.Name != defaultName {
		text = fmt.Sprintf("no set named %s runs: start it with 'evercache dev --name %s', in another terminal", e.Name, e.Name)
	}
	if len(e.Others) > 0 {
		text += "; there is " + strings.Join(e.Others, ", ") + ": choose it with --name"
	}
	return text
}

// Send sends an order to the run of that name, and returns what is to be printed. The environment says where
// runs are found: both sides must have the same. The error wraps
// ErrCommand when that was no order, and is a *NotRunningError when there is no such run.
func Send(ctx context.Context, environ []string, name string, c Command) (string, error) {
	r, err := openRuntime(environ)
	if err != nil {
		return "", err
	}
	return r.send(ctx, name, c)
}

func (r runtimeDir) send(ctx context.Context, name string, c Command) (string, error) {
	if !isName(name) {
		return "", fmt.Errorf("%w: --name %.40q: want small letters, digits, - and _, at most %d", ErrCommand, name, maxName)
	}
	conn, err := r.dial(ctx, name)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	_ = conn.SetDeadline(time.Now().Add(answerTimeout))
	if _, err := fmt.Fprintln(conn, c); err != nil {
		return "", fmt.Errorf("send the order: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(conn, maxAnswer))
	if err != nil {
		return "", fmt.Errorf("wait for the answer: %w", err)
	}
	return readAnswer(text)
}

// readAnswer reads what a run has answered.
func readAnswer(text []byte) (string, error) {
	var a answer
	switch err := json.Unmarshal(text, &a); {
	case err != nil:
		return "", errors.New("the set ended before it answered")
	case a.Usage:
		return a.Text, fmt.Errorf("%w: %s", ErrCommand, a.Error)
	case a.Error != "":
		return a.Text, errors.New(a.Error)
	}
	return a.Text, nil
}

// dial connects to the socket of a run, which must be ours.
func (r runtimeDir) dial(ctx context.Context, name string) (net.Conn, error) {
	info, err := os.Lstat(r.socket(name))
	if err == nil && (info.Mode().Type() != fs.ModeSocket || !ownedByUs(info)) {
		return nil, fmt.Errorf("%s is not a socket of yours; remove it", r.socket(name))
	}
	conn, err := (&net.Dialer{Timeout: askTimeout}).DialContext(ctx, "unix", r.socket(name))
	if err == nil {
		return conn, nil
	}
	running := r.running()
	if slices.Contains(running, name) {
		return nil, fmt.Errorf("the set named %s takes no orders: it starts or ends at the moment; try again", name)
	}
	return nil, &NotRunningError{name, running}
}

// running are the names of the runs that live.
func (r runtimeDir) running() []string {
	names, err := r.names()
	if err != nil {
		return nil
	}
	var live []string
	for _, name := range names {
		lock, err := r.take(name)
		if errors.Is(err, errLocked) {
			live = append(live, name)
		} else if err == nil {
			_ = lock.Close()
		}
	}
	return live
}

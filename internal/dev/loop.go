package dev

import (
	"context"
	"os"
	"strings"
	"sync"
	"time"
)

// run is one run. Its fields belong to the goroutine of Run.
type run struct {
	options Options
	runtime runtimeDir
	end     context.CancelCauseFunc // of the run
	out     *printer
	orders  chan order // from other terminals

	dir        string
	record     *record
	servers    *servers
	listener   *listener
	service    Service
	serviceLog *os.File
	watchers   sync.WaitGroup // the goroutines that ask the servers

	now          Snapshot
	serviceState string
	screen       *screen // nil: plain lines
	editor       editor
	kick         chan struct{} // to look more often for a while
	since        time.Time     // of the last order that broke something, or of the first trouble; zero: all is well
	ordered      time.Time     // when the last order was carried out: older looks tell of the time before
	quitters     []chan<- answer
}

// loop shows the servers and takes orders until the end.
func (r *run) loop(ctx context.Context) error {
	r.kick = make(chan struct{}, 1)
	r.now = r.servers.look(ctx)
	keys, restore, err := r.keyboard(ctx)
	if err != nil {
		return err
	}
	defer restore()
	r.say(r.welcome()...)
	looks, states, serviceEnd := make(chan look), make(chan string), make(<-chan struct{})
	r.watchers.Go(func() { r.watch(ctx, looks) })
	if r.service != nil {
		serviceEnd = r.service.Ended()
		r.watchers.Go(func() { r.watchService(ctx, states) })
	}
	r.draw()
	for {
		select {
		case <-ctx.Done():
			r.leave(context.Cause(ctx))
			return nil
		case <-r.out.failed: // like a terminal that has hung up
			return nil
		case l := <-looks:
			if l.began.After(r.ordered) {
				r.seen(l.Snapshot)
			}
		case s := <-states:
			r.serviceSeen(s)
		case <-serviceEnd:
			serviceEnd = nil
			r.serviceEnded(r.service.Err())
		case o := <-r.orders:
			if r.take(ctx, o) {
				return nil
			}
		case b := <-keys:
			if r.typed(ctx, b) {
				return nil
			}
		}
		r.draw()
	}
}

// leave ends the picture with a line that says why.
func (r *run) leave(cause error) {
	if cause != nil {
		r.say("ending: " + cause.Error())
	}
}

// typed takes keys, or whole lines where there is no terminal. end: quit.
func (r *run) typed(ctx context.Context, b []byte) (end bool) {
	if r.screen == nil {
		return r.typedLine(ctx, strings.TrimSpace(string(b)))
	}
	lines, end := r.editor.feed(b)
	for _, l := range lines {
		if r.typedLine(ctx, strings.TrimSpace(l)) {
			return true
		}
	}
	return end
}

func (r *run) typedLine(ctx context.Context, line string) (end bool) {
	if line == "" {
		return false
	}
	answers := make(chan answer, 1)
	if r.take(ctx, order{line, answers}) {
		r.quitters = nil // the keyboard needs no answer
		return true
	}
	a := <-answers
	if a.Usage {
		a.Error = ErrCommand.Error() + ": " + a.Error
	}
	for _, text := range []string{a.Text, a.Error} {
		if text != "" {
			r.say(strings.TrimSuffix(text, "\n"))
		}
	}
	return false
}

// take carries an order out and answers it. An order to quit is answered when everything has ended.
func (r *run) take(ctx context.Context, o order) (quit bool) {
	c, err := Parse(o.line)
	if err != nil {
		o.answer <- answer{Error: strings.TrimPrefix(err.Error(), ErrCommand.Error()+": "), Usage: true}
		return false
	}
	switch c.Verb {
	case verbQuit:
		r.say("ending: quit")
		r.quitters = append(r.quitters, o.answer)
		return true
	case verbHelp:
		o.answer <- answer{Text: Help()}
	case verbEnv:
		o.answer <- answer{Text: exports(r.servers.environ(), nil)}
	case verbStatus:
		o.answer <- answer{Text: r.status(ctx)}
	default:
		o.answer <- r.order(ctx, c)
	}
	return false
}

// order breaks or mends something.
func (r *run) order(ctx context.Context, c Command) answer {
	began := time.Now()
	r.hurry()
	text, err := r.servers.carryOut(ctx, c, r.now)
	r.ordered = time.Now()
	if text != "" {
		r.since = began
	}
	r.note("> " + c.String())
	return answer{Text: text, Error: errorText(err)}
}

package main

import (
	"context"
	"time"

	"github.com/evercache/evercache/internal/history"
	"github.com/evercache/evercache/internal/overview"
	"github.com/evercache/evercache/internal/survey"
)

// servers looks at the servers again and again, and tells what has changed, until ctx ends.
func (h telling) servers(ctx context.Context, t survey.Target) error {
	var tracker history.Tracker
	before := overview.OfSurvey(survey.Take(ctx, t))
	h.note("watching %d servers (%s); Ctrl-C ends", len(before.Nodes), before.Status)
	for {
		select {
		case <-time.After(askEvery):
		case <-ctx.Done():
			return nil
		}
		now := overview.OfSurvey(survey.Take(ctx, t))
		if ctx.Err() != nil {
			return nil
		}
		for _, e := range tracker.See(now.At, overview.Changes(before, now), now.Status != overview.Well) {
			if err := h.print(e, e.Line()); err != nil {
				return err
			}
		}
		before = now
	}
}

// heard is what one sentinel has published.
type heard struct {
	at               time.Time
	from             string
	channel, message string

	up   bool  // in place of a message: the subscription stands
	down error // or it does not, and why
}

// sentinels tells what every sentinel publishes, until ctx ends.
func (h telling) sentinels(ctx context.Context, t survey.Target) error {
	found := survey.Take(ctx, t).Sentinels
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := make(chan heard, 256)
	for _, s := range found {
		go listen(ctx, t, s, events) // until ctx ends
	}
	h.note("listening to %d sentinels of %s; Ctrl-C ends", len(found), t.MasterName)
	tracker := history.Tracker{Name: t.MasterName}
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-events:
			if err := h.tell(&tracker, e); err != nil {
				return err
			}
		}
	}
}

func (h telling) tell(t *history.Tracker, e heard) error {
	switch {
	case e.up:
		h.note("sentinel %s: listening", e.from)
		return nil
	case e.down != nil:
		h.note("sentinel %s: %v; trying again", e.from, e.down)
		return nil
	}
	events, _ := t.Hear(e.at, e.from, e.channel, e.message)
	for _, one := range events {
		if err := h.print(one, one.Line()); err != nil {
			return err
		}
	}
	return nil
}

// Pauses between two attempts to listen.
const (
	listenAgain     = 200 * time.Millisecond
	listenAgainMost = 2 * time.Second
)

// listen hands on what one sentinel publishes. What keeps it from listening is told once.
func listen(ctx context.Context, t survey.Target, s survey.Sentinel, events chan<- heard) {
	send := func(e heard) {
		e.at, e.from = time.Now(), s.Addr
		select {
		case events <- e:
		case <-ctx.Done():
		}
	}
	told, pause := "", listenAgain
	for ctx.Err() == nil {
		err := t.Listen(ctx, s, func() {
			told, pause = "", listenAgain
			send(heard{up: true})
		}, func(channel, message string) { send(heard{channel: channel, message: message}) })
		if err != nil && ctx.Err() == nil && err.Error() != told {
			told = err.Error()
			send(heard{down: err})
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, listenAgainMost)
	}
}

package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// shard is the nodes that a shard began with, and where its barriers are written.
type shard struct {
	Name     string   `json:"shard"` // its first master
	Nodes    []string `json:"nodes"`
	Key      string   `json:"key"`
	Slot     int      `json:"slot"`
	Replicas int      `json:"-"`
}

func (s shard) has(name string) bool { return slices.Contains(s.Nodes, name) }

// log is the key of a list with the number of every barrier that was taken: the truth about what is lost.
func (s shard) log() string { return s.Key + ":log" }

// barrier writes numbers to one node.
type barrier struct {
	node
	shard   shard
	rec     *recorder
	link    link
	numbers *counter

	last  barrierLine
	wrote time.Time
}

func (b *barrier) ask(ctx context.Context) {
	n, sent := b.numbers.next(), time.Now()
	replies, err := b.link.pipeline(
		ctx, barrierLimit,
		[]string{"GET", b.shard.Key},
		[]string{"SET", b.shard.Key, fmt.Sprint(n)},
		[]string{"RPUSH", b.shard.log(), fmt.Sprint(n)},
		[]string{"WAIT", fmt.Sprint(b.shard.Replicas), "50"},
	)
	at := time.Now()
	if ctx.Err() != nil {
		return
	}
	l := readBarrier(replies, err)
	if l.Error == "" || l.Set {
		b.rec.accept(accepted{at, b.name, b.shard.Name, n})
	}
	l.N, l.Shard = n, b.shard.Name
	l.moment = moment{Src: b.name, Kind: "barrier", Took: millis(at.Sub(sent))}
	if b.unchanged(l) && at.Sub(b.wrote) < quiet {
		b.last.N, b.last.Found = l.N, l.Found
		return
	}
	b.last, b.wrote = l, at
	b.rec.add(at, &l)
}

// unchanged: the number that is found goes up with each barrier.
func (b *barrier) unchanged(l barrierLine) bool {
	return l.Error == b.last.Error && l.Set == b.last.Set && l.Acked == b.last.Acked && l.Found >= b.last.Found &&
		(l.Found == 0) == (b.last.Found == 0)
}

func readBarrier(replies []any, err error) barrierLine {
	if err != nil {
		return barrierLine{Error: describeError(err)}
	}
	var l barrierLine
	for i, r := range replies {
		if e, refused := r.(redisproc.ReplyError); refused {
			return barrierLine{Error: string(e), Found: l.Found, Set: i == 3}
		}
	}
	if text, ok := replies[0].(string); ok {
		l.Found, _ = strconv.ParseInt(text, 10, 64) // only we write there
	}
	l.Acked, _ = replies[3].(int64)
	return l
}

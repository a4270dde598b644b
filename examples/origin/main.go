// Command origin is the program of docs/guide/loading.md: a database hangs, fails and
// comes back while callers ask for its rows, without a cache and through evercache.
//
//	go run ./examples/origin               # the table: 32 s
//	go run ./examples/origin -fill 10000   # what is filled at once, and when it is loaded again
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/evercache/evercache"
)

func main() {
	callers := flag.Int("callers", 1000, "how many call at the same time")
	keys := flag.Int("keys", 100, "how many rows they ask for")
	phase := flag.Duration("phase", 4*time.Second, "how long each phase takes")
	fill := flag.Int("fill", 0, "instead: fill so many keys at once, and show when they are loaded again")
	picture := flag.String("svg", "", "with -fill: draw it to this file too")
	flag.Parse()
	var err error
	if *fill > 0 {
		err = showSpread(os.Stdout, *fill, *picture)
	} else {
		err = showOutage(os.Stdout, load{*callers, *keys, *phase})
	}
	if err != nil {
		log.Fatal(err)
	}
}

// policy is that of the rows.
var policy = evercache.Policy{
	TTL:          2 * time.Second,
	Stale:        time.Hour, // an old row is better than none
	LoadTimeout:  time.Second,
	RefreshAhead: 0.8, // what is read is loaded before it ends
}

// showOutage prints the table.
func showOutage(out io.Writer, l load) error {
	_, _ = fmt.Fprintf(out, "%d callers, %d keys, a database with 50 connections and 30 ms latency; a caller waits 1 s at most\n\n", l.callers, l.keys)
	_, _ = fmt.Fprintln(out, header)
	db := newDatabase()
	for _, p := range phases {
		_, _ = fmt.Fprintln(out, l.run("without", p, db, db.query))
	}
	db = newDatabase()
	client, err := evercache.Open(context.Background(), evercache.Options{MemoryOnly: true}) // no Redis is needed to see it
	if err != nil {
		return err
	}
	defer client.Close()
	rows, err := evercache.NewCache[string](client, "row", policy)
	if err != nil {
		return err
	}
	read := func(ctx context.Context, key string) (string, error) { return rows.Get(ctx, key, db.query) }
	for _, p := range phases {
		_, _ = fmt.Fprintln(out, l.run("evercache", p, db, read))
	}
	return nil
}

// Command quickstart is the program of docs/guide/quick-start.md.
package main

import (
	"context"
	"fmt"
	"log"
	"os/signal"
	"syscall"
	"time"

	"github.com/evercache/evercache"
)

type Product struct {
	Name  string
	Price int
}

// fromDatabase is the loader: it runs when no cache has the value.
func fromDatabase(_ context.Context, id string) (Product, error) {
	fmt.Println("asking the database for", id)
	return Product{Name: "lamp", Price: 30}, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, evercache.Options{Addr: "localhost:6379"}); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, options evercache.Options) error {
	client, err := evercache.Open(ctx, options)
	if err != nil {
		return err // the options are wrong; a Redis that is away is no error
	}
	defer client.Close()

	products, err := evercache.NewCache[Product](client, "product", evercache.Policy{
		TTL:   5 * time.Minute,
		Stale: 2 * time.Hour, // may be served when nothing better can be had
	})
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		p, err := products.GetEntry(ctx, "42", fromDatabase)
		if err != nil {
			return err
		}
		fmt.Println(client.State(), p.Value, "from", p.Source)
		time.Sleep(time.Second)
	}
	return nil
}

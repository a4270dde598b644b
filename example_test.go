package evercache_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
)

// Product is what the examples cache.
type Product struct {
	Name  string
	Price int
}

// fromDatabase is a loader: it asks the origin.
func fromDatabase(_ context.Context, id string) (Product, error) {
	if id != "42" {
		return Product{}, evercache.ErrNotFound
	}
	fmt.Println("asking the database")
	return Product{"lamp", 30}, nil
}

// openExample stands for the Open of the application. The examples use no
// Redis; nothing else in them would change with one.
func openExample() *evercache.Client {
	client, err := evercache.Open(context.Background(), evercache.Options{MemoryOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	return client
}

// Open returns at once, whether Redis is there or not.
func ExampleOpen() {
	client, err := evercache.Open(context.Background(), evercache.Options{
		Sentinels:    []string{"sentinel-1:26379", "sentinel-2:26379", "sentinel-3:26379"},
		MasterName:   "mymaster",
		PasswordFile: "/run/secrets/redis",
		KeyPrefix:    "shop:",
	})
	if err != nil {
		log.Fatal(err) // every fault of the options, never Redis
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := client.WaitConnected(ctx); err != nil {
		log.Print(err) // memory answers meanwhile
	}
}

func ExampleNewCache() {
	client := openExample()
	defer client.Close()

	_, err := evercache.NewCache[Product](client, "product", evercache.Policy{
		TTL:         5 * time.Minute,
		Stale:       2 * time.Hour,        // may be served when nothing better can be had
		NegativeTTL: 10 * time.Second,     // remember that there is none
		Recovery:    evercache.Invalidate, // it can be loaded again after an outage
		MaxEntries:  10_000,
	})
	fmt.Println(err)

	_, err = evercache.NewCache[Product](client, "order", evercache.Policy{TTL: -time.Minute, MaxEntries: -1})
	fmt.Println(err)
	// Output:
	// <nil>
	// evercache: class order: Policy.TTL -1m0s: want between 1ms and 8760h0m0s
	// Policy.MaxEntries -1: want a positive number
}

// A type of which JSON would lose a part is refused, unless the application says that
// it can do without. A release that stores a class in another form gives it another
// version.
func ExampleJSON() {
	client := openExample()
	defer client.Close()

	type User struct {
		Name  string
		Extra map[string]any
	}
	_, err := evercache.NewCache[User](client, "user", evercache.Policy{})
	fmt.Println(err)

	_, err = evercache.NewCache(client, "user", evercache.Policy{Version: 2}, evercache.WithCodec(evercache.JSON[User]()))
	fmt.Println(err)
	// Output:
	// evercache: class user: another process would not read what is written here, since values are stored as JSON:
	//   Extra[]: it is an interface (interface {}), and JSON brings back another type, a number as float64
	// give a codec that keeps them (WithCodec), or WithCodec(evercache.JSON[V]()) if that may be lost
	// <nil>
}

func ExampleCache_Get() {
	client := openExample()
	defer client.Close()
	products, err := evercache.NewCache[Product](client, "product", evercache.Policy{TTL: 5 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	for range 2 {
		p, err := products.Get(ctx, "42", fromDatabase)
		fmt.Println(p.Name, p.Price, err)
	}
	_, err = products.Get(ctx, "7", fromDatabase)
	fmt.Println(errors.Is(err, evercache.ErrNotFound))
	// Output:
	// asking the database
	// lamp 30 <nil>
	// lamp 30 <nil>
	// true
}

func ExampleCache_GetEntry() {
	client := openExample()
	defer client.Close()
	products, err := evercache.NewCache[Product](client, "product", evercache.Policy{})
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	for range 2 {
		e, err := products.GetEntry(ctx, "42", fromDatabase)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Value.Name, "from", e.Source, "fresh:", e.Fresh, "cause:", e.Cause)
	}
	// Output:
	// asking the database
	// lamp from loader fresh: true cause: <nil>
	// lamp from memory fresh: true cause: <nil>
}

// A write says where it is. Asking for more than can be had is an error, and
// the write is in force all the same.
func ExampleCache_Set() {
	client := openExample()
	defer client.Close()
	sessions, err := evercache.NewCache[string](client, "session", evercache.Policy{TTL: time.Hour})
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	receipt, err := sessions.Set(ctx, "s1", "alice", evercache.TTL(10*time.Minute))
	fmt.Println(receipt.Durability, err)

	_, err = sessions.Set(ctx, "s2", "bob", evercache.MinDurability(evercache.Master))
	fmt.Println(err)
	fmt.Println("try again later:", evercache.IsRetryable(err))

	e, err := sessions.Lookup(ctx, "s2")
	fmt.Println(e.Value, err)
	// Output:
	// memory <nil>
	// evercache: write is stored as memory, master was asked
	// try again later: true
	// bob <nil>
}

// Greeter is code that is to be tested, with a cache inside.
type Greeter struct{ names *evercache.Cache[string] }

func NewGreeter(client *evercache.Client) (*Greeter, error) {
	names, err := evercache.NewCache[string](client, "name", evercache.Policy{})
	return &Greeter{names}, err
}

func (g *Greeter) Greet(ctx context.Context, id string) string {
	name, err := g.names.Get(ctx, id, nil)
	if err != nil {
		return "hello, stranger"
	}
	return "hello, " + name
}

// In a unit test a Client needs no Redis. It may live in a testing/synctest
// bubble, where the time to live passes at once.
func ExampleOptions_memoryOnly() {
	client, err := evercache.Open(context.Background(), evercache.Options{MemoryOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	greeter, err := NewGreeter(client)
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	fmt.Println(greeter.Greet(ctx, "1"))
	if _, err := greeter.names.Set(ctx, "1", "alice"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(greeter.Greet(ctx, "1"))
	// Output:
	// hello, stranger
	// hello, alice
}

// Events tell an application what /health would. They come one at a time and
// hold nobody up.
func ExampleEvents() {
	client, err := evercache.Open(context.Background(), evercache.Options{
		MemoryOnly: true,
		Events: evercache.Events{
			State: func(change health.Change) {
				fmt.Println("from", change.From, "to", change.To)
			},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Close(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// from degraded to closed
}

func ExampleCache_DeletePrefix() {
	client := openExample()
	defer client.Close()
	pages, err := evercache.NewCache[string](client, "page", evercache.Policy{})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	if _, err := pages.SetMany(ctx, map[string]string{"news/1": "…", "news/2": "…", "about": "us"}); err != nil {
		log.Fatal(err)
	}

	n, _, err := pages.DeletePrefix(ctx, "news/")
	fmt.Println(n, err)
	left, err := pages.GetMany(ctx, []string{"news/1", "about"}, nil)
	fmt.Println(left, err)
	// Output:
	// 2 <nil>
	// map[about:us] <nil>
}

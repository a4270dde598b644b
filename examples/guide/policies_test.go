package guide_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/revoke"
)

type (
	// Session, Product, Price and Rights are what the examples cache.
	Session struct{ User string }
	Product struct {
		Name  string
		Price int
	}
	Price  struct{ Cents int }
	Rights struct{ Admin bool }
)

// database stands for what the values are loaded from.
type database struct{}

func (database) Product(context.Context, string) (Product, error) { return Product{"lamp", 30}, nil }
func (database) Price(context.Context, string) (Price, error)     { return Price{2999}, nil }
func (database) Rights(context.Context, string) (Rights, error)   { return Rights{Admin: true}, nil }

var db database

func open() *evercache.Client {
	client, err := evercache.Open(context.Background(), evercache.Options{MemoryOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	return client
}

// The twenty lines of the README.
func Example_twentyLines() {
	ctx, id := context.Background(), "42"
	run := func() error {
		client, err := evercache.Open(ctx, evercache.Options{
			Sentinels:  []string{"sentinel-1:26379", "sentinel-2:26379", "sentinel-3:26379"},
			MasterName: "mymaster",
		}) // or Options{Addr: "redis:6379"}; Options{MemoryOnly: true} in unit tests
		if err != nil {
			return err
		}
		defer client.Close()

		products, err := evercache.NewCache[Product](client, "product", evercache.Policy{
			TTL:   5 * time.Minute,
			Stale: 2 * time.Hour, // may be served when nothing better can be had
		})
		if err != nil {
			return err
		}
		p, err := products.Get(ctx, id, db.Product) // memory, Redis, db.Product; one load per key
		if err != nil {
			return err
		}
		receipt, err := products.Set(ctx, id, p) // receipt.Durability: memory, journaled, master, replicated
		if err != nil {
			return err
		}
		_, err = products.Delete(ctx, id)
		_ = receipt
		return err
	}
	_ = run // it would wait for sentinels that are not there
}

// Reads from replicas.
func Example_replicas() {
	ctx := context.Background()
	run := func() error {
		client, err := evercache.Open(ctx, evercache.Options{
			Sentinels:    []string{"sentinel-1:26379", "sentinel-2:26379", "sentinel-3:26379"},
			MasterName:   "mymaster",
			ReplicaReads: true,
			Zone:         "eu-west-1a",
		})
		if err != nil {
			return err
		}
		defer client.Close()

		catalogue, err := evercache.NewCache[Product](client, "catalogue", evercache.Policy{
			TTL:          10 * time.Minute,
			ReplicaReads: true,
			MaxStaleness: 500 * time.Millisecond,
		})
		_ = catalogue
		return err
	}
	_ = run // it would wait for sentinels that are not there
}

func Example_session() {
	ctx, id := context.Background(), "s1"
	client := open()
	defer client.Close()

	sessions, err := evercache.NewCache[Session](client, "session", evercache.Policy{
		TTL: 30 * time.Minute, // nothing stale: an expired session is over
	})
	if err != nil {
		log.Fatal(err)
	}

	if _, err := sessions.Set(ctx, id, Session{User: "alice"}); err != nil { // kept for the next master in an outage
		log.Fatal(err)
	}
	if _, err := sessions.Touch(ctx, id); err != nil { // another 30 minutes
		log.Fatal(err)
	}
	s, err := sessions.Lookup(ctx, id)
	fmt.Println(s.Value.User, err)
	// Output: alice <nil>
}

func Example_catalogue() {
	ctx, id := context.Background(), "42"
	client := open()
	defer client.Close()

	products, err := evercache.NewCache[Product](client, "product", evercache.Policy{
		TTL:         10 * time.Minute,
		Stale:       24 * time.Hour,       // an old description is better than none
		NegativeTTL: 30 * time.Second,     // remember that a product does not exist
		Recovery:    evercache.Invalidate, // after an outage it is loaded again
		MaxBytes:    64 << 20,             // a memory of its own
	})
	if err != nil {
		log.Fatal(err)
	}

	p, err := products.Get(ctx, id, db.Product)
	fmt.Println(p.Name, err)
	// Output: lamp <nil>
}

func Example_price() {
	ctx, id := context.Background(), "42"
	client := open()
	defer client.Close()

	prices, err := evercache.NewCache[Price](client, "price", evercache.Policy{
		TTL:            time.Minute,
		Stale:          10 * time.Minute,     // only when the database fails too
		OutageReads:    evercache.ServeFresh, // in an outage ask the database before a stale price is served
		OutageLoadRate: 50,                   // what the database can stand, per process and second; 50 may come at once
		Recovery:       evercache.Invalidate,
	})
	if err != nil {
		log.Fatal(err)
	}

	e, err := prices.GetEntry(ctx, id, db.Price)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(e.Value.Cents, "fresh:", e.Fresh) // show a price that is not fresh as such
	// Output: 2999 fresh: true
}

func Example_permission() {
	ctx, user := context.Background(), "u1"
	client := open()
	defer client.Close()

	rights, err := evercache.NewCache[Rights](client, "rights", evercache.Policy{
		TTL:         time.Minute,
		OutageReads: evercache.RefuseReads, // nothing that Redis has not confirmed
		Recovery:    evercache.Invalidate,
	})
	if err != nil {
		log.Fatal(err)
	}

	r, err := rights.Get(ctx, user, db.Rights)
	if evercache.IsUnavailable(err) { // not where the loader has failed, or is paused after failures
		r, err = db.Rights(ctx, user) // Redis is away: ask the source itself, or refuse
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("admin:", r.Admin)

	// When the rights change: write them to the database first, then
	if _, err := rights.Delete(ctx, user); err != nil {
		log.Fatal(err)
	}
	// Output: admin: true
}

func Example_denylist() {
	ctx, expires := context.Background(), time.Now().Add(time.Hour)
	client := open()
	defer client.Close()

	denied, err := revoke.New(client, revoke.Policy{MaxLife: 24 * time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	defer denied.Close() // before the client

	if _, err := denied.Revoke(ctx, "token-1", expires); err != nil {
		log.Print(err) // in force here; not as durable as was asked
	}
	fmt.Println(denied.Check(revoke.Token{ID: "token-1"}).Allowed())
	// Output: false
}

// The calls of docs/guide/revocation.md.
func Example_revocation() {
	ctx, userID := context.Background(), "u1"
	expiresAt, lastExpiry, issuedAt := time.Now().Add(time.Hour), time.Now().Add(24*time.Hour), time.Now()
	claims := struct{ ID, Subject string }{"token-1", userID}
	client := open()
	defer client.Close()

	list, err := revoke.New(client, revoke.Policy{MaxLife: 24 * time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	defer list.Close() // before the client

	_, err = list.Revoke(ctx, claims.ID, expiresAt) // one token
	if err != nil {
		log.Print(err)
	}
	_, err = list.RevokeIssuedBefore(ctx, userID, time.Now(), lastExpiry) // log out everywhere
	if err != nil {
		log.Print(err)
	}
	v := list.Check(revoke.Token{ID: claims.ID, Subject: claims.Subject, IssuedAt: issuedAt})
	fmt.Println(v.Allowed())
	// Output: false
}

// Greeter is code under test, with a cache inside.
type Greeter struct{ names *evercache.Cache[string] }

func (g *Greeter) Greet(ctx context.Context, id string) string {
	name, err := g.names.Get(ctx, id, nil)
	if err != nil {
		return "hello, stranger"
	}
	return "hello, " + name
}

func Example_unitTest() {
	ctx := context.Background()

	client, err := evercache.Open(ctx, evercache.Options{MemoryOnly: true}) // no Redis, no goroutine that waits for one
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	names, err := evercache.NewCache[string](client, "name", evercache.Policy{})
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println((&Greeter{names}).Greet(ctx, "1"))
	// Output: hello, stranger
}

// A Cluster is given by some of its nodes.
func Example_cluster() {
	ctx := context.Background()

	client, err := evercache.Open(ctx, evercache.Options{
		ClusterNodes: []string{"node-1:6379", "node-2:6379", "node-3:6379"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	fmt.Println(client.State()) // memory answers until the Cluster is found
	// Output: degraded
}

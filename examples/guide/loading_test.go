package guide_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/evercache/evercache"
)

// Token is what a service gives, with how long it is good for and which one it is.
type Token struct {
	Text      string
	ETag      string
	ExpiresIn time.Duration
}

var errSame = errors.New("304 Not Modified")

// fetch stands for a request with If-None-Match.
func fetch(_ context.Context, _, etag string) (Token, error) {
	if etag == "e1" {
		return Token{}, errSame
	}
	return Token{"secret", "e1", 10 * time.Minute}, nil
}

func Example_refreshAhead() {
	ctx := context.Background()
	client := open()
	defer client.Close()

	rows, err := evercache.NewCache[Product](client, "row", evercache.Policy{
		TTL:          time.Minute,
		Stale:        time.Hour,              // an old row is better than none
		LoadPatience: 100 * time.Millisecond, // the default
		RefreshAhead: 0.8,                    // what is read is loaded before it ends
	})
	if err != nil {
		log.Fatal(err)
	}
	row, err := rows.Get(ctx, "42", db.Product)
	fmt.Println(row.Name, err)
	// Output: lamp <nil>
}

func Example_theLoaderDecides() {
	ctx := context.Background()
	client := open()
	defer client.Close()

	tokens, err := evercache.NewCache[Token](client, "token", evercache.Policy{TTL: time.Hour, Stale: time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	token, err := tokens.Get(ctx, "client-7", func(ctx context.Context, key string) (Token, error) {
		load := evercache.LoadOf[Token](ctx)
		old, _ := load.Previous(key) // with the ETag that it came with
		token, err := fetch(ctx, key, old.ETag)
		if errors.Is(err, errSame) {
			return Token{}, evercache.ErrNotModified // the old one, for another TTL
		}
		load.SetTTL(key, token.ExpiresIn)
		return token, err
	})
	fmt.Println(token.Text, err)
	// Output: secret <nil>
}

// one stands for a request that may fail for one key.
func one(ctx context.Context, key string) (Product, error) {
	if key == "13" {
		return Product{}, errors.New("this row is broken")
	}
	return db.Product(ctx, key)
}

func load(ctx context.Context, keys []string) (map[string]Product, error) {
	values, failed := map[string]Product{}, evercache.KeyErrors{}
	for _, key := range keys {
		p, err := one(ctx, key)
		if err != nil {
			failed[key] = err
			continue
		}
		values[key] = p
	}
	return values, failed.OrNil()
}

func Example_oneBrokenRow() {
	ctx := context.Background()
	client := open()
	defer client.Close()

	rows, err := evercache.NewCache[Product](client, "rows", evercache.Policy{})
	if err != nil {
		log.Fatal(err)
	}
	got, err := rows.GetMany(ctx, []string{"13", "42"}, load)
	fmt.Println(len(got), got["42"].Name, err)
	// Output: 1 lamp evercache: load: this row is broken
}

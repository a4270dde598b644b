package evercacheprom_test

import (
	"context"
	"log"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/evercacheprom"
	"github.com/evercache/evercache/revoke"
)

func Example() {
	client, err := evercache.Open(context.Background(), evercache.Options{Addr: "redis:6379"})
	if err != nil {
		log.Fatal(err)
	}
	prometheus.MustRegister(evercacheprom.New(client))
}

// docs/guide/monitoring.md
func ExampleNewRevocations() {
	client, err := evercache.Open(context.Background(), evercache.Options{Addr: "redis:6379"})
	if err != nil {
		log.Fatal(err)
	}
	list, err := revoke.New(client, revoke.Policy{})
	if err != nil {
		log.Fatal(err)
	}
	prometheus.MustRegister(evercacheprom.New(client), evercacheprom.NewRevocations(list.Stats))
}

package status_test

import (
	"context"
	"log"
	"net/http"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/status"
)

func Example() {
	client, err := evercache.Open(context.Background(), evercache.Options{Addr: "redis:6379"})
	if err != nil {
		log.Fatal(err)
	}
	s := status.New(client)
	http.Handle("/health", s.Health())
	http.Handle("/livez", s.Livez())
	http.Handle("/readyz", s.Readyz())
}

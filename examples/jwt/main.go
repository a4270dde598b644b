// Command jwt is a service behind JSON Web Tokens, of which some are revoked.
// middleware.go is the part to copy.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/revoke"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	settings, err := config.FromEnv(os.Environ()) // REDIS_*, as for evercache serve
	if err != nil {
		return err
	}
	client, err := evercache.Open(ctx, settings.Redis)
	if err != nil {
		return err
	}
	defer client.Close()
	list, err := revoke.New(client, revoke.Policy{MaxLife: 24 * time.Hour})
	if err != nil {
		return err
	}
	defer list.Close() // before the client
	guard := Guard{List: list, Key: []byte(os.Getenv("JWT_KEY"))}
	if len(guard.Key) < 32 {
		return errors.New("JWT_KEY wants 32 bytes or more")
	}
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: routes(guard), ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func routes(g Guard) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /hello", g.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "hello %s\n", Claims(r.Context()).Subject)
	})))
	mux.Handle("POST /logout", g.Protect(http.HandlerFunc(g.Logout)))
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if !g.List.Ready() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	return mux
}

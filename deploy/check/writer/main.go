// Command writer writes through an evercache at a steady rate until it is told to
// end, reads every key back, and says what became of it. live.sh runs it.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "writer:", err)
		os.Exit(1)
	}
}

// writer is one run. Its fields below mu are filled by several requests at once.
type writer struct {
	url, token, class string
	client            *http.Client

	mu      sync.Mutex
	acked   []string
	levels  map[string]int // acknowledged, by what evercache said of their durability
	failed  int
	first   error // of the failed ones
	longest time.Duration
	taken   time.Time     // when a master last took one
	without time.Duration // the longest time in which none did
}

func run() error {
	url := flag.String("url", "http://localhost:3000", "where evercache is")
	tokenFile := flag.String("token-file", "", "its token")
	class := flag.String("class", "live", "the class to write to")
	rate := flag.Int("rate", 100, "writes a second")
	limit := flag.Duration("limit", 5*time.Minute, "end by itself after this")
	acked := flag.String("acked", "", "file for the keys that were acknowledged, one a line")
	flag.Parse()
	token, err := os.ReadFile(*tokenFile)
	if err != nil {
		return err
	}
	w := &writer{
		url: *url, token: strings.TrimSpace(string(token)), class: *class, levels: map[string]int{}, taken: time.Now(),
		client: &http.Client{Timeout: 5 * time.Second},
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	w.writeAll(ctx, time.Second/time.Duration(*rate))
	fmt.Printf("%d acknowledged %v, %d failed, longest call %v, at most %v without a write that a master took\n",
		len(w.acked), w.levels, w.failed, w.longest.Round(time.Millisecond), w.without.Round(time.Millisecond))
	if err := w.save(*acked); err != nil {
		return err
	}
	return w.first
}

// writeAll starts a request at every tick, whether the last is answered or not.
func (w *writer) writeAll(ctx context.Context, every time.Duration) {
	var requests sync.WaitGroup
	defer requests.Wait()
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		requests.Go(func() { w.one(fmt.Sprintf("k%d", i)) })
	}
}

// one writes a key with itself as its value, and reads it.
func (w *writer) one(key string) {
	began := time.Now()
	level, err := w.put(key)
	took := time.Since(began)
	if err == nil {
		began = time.Now()
		err = w.get(key)
		took = max(took, time.Since(began))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.longest = max(w.longest, took)
	if level != "" {
		w.acked = append(w.acked, key)
		w.levels[level]++
	}
	if level == "master" || level == "replicated" {
		now := time.Now()
		w.without, w.taken = max(w.without, now.Sub(w.taken)), now
	}
	if err != nil {
		w.failed++
		w.first = cmp.Or(w.first, err)
	}
}

func (w *writer) put(key string) (level string, err error) {
	resp, _, err := w.call(http.MethodPut, key+"?ttl=1h", key)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusNoContent {
		return "", fmt.Errorf("PUT %s: %s", key, resp.Status)
	}
	return resp.Header.Get("Evercache-Durability"), nil
}

func (w *writer) get(key string) error {
	resp, body, err := w.call(http.MethodGet, key, "")
	if err == nil && (resp.StatusCode != http.StatusOK || body != key) {
		err = fmt.Errorf("GET %s: %s", key, resp.Status)
	}
	return err
}

func (w *writer) call(method, path, body string) (*http.Response, string, error) {
	req, err := http.NewRequest(method, w.url+"/v1/cache/"+w.class+"/"+path, strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp, string(text), err
}

func (w *writer) save(file string) error {
	if file == "" {
		return nil
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strings.Join(append(w.acked, ""), "\n"))
	return errors.Join(err, f.Close())
}

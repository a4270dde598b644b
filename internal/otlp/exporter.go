package otlp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Config says where spans go. It has been checked.
type Config struct {
	URL      string            // of the collector's /v1/traces
	Headers  map[string]string // secrets: never shown
	Timeout  time.Duration     // of one request
	Resource []Attr            // what names this process, service.name first
	Version  string            // of this program
	Sampler  Sampler
	Log      *slog.Logger // must never wait
}

// Bounds of what waits and of how it is sent.
const (
	mostWaiting = 2048 // spans; further ones are dropped and counted
	mostSent    = 512  // spans in a request
	sendEvery   = 5 * time.Second
	tries       = 5 // of a request
	firstPause  = time.Second
	longestWait = 30 * time.Second
	maxAnswer   = 64 << 10 // bytes of an answer that are read
)

// Tracer makes spans and sends them. A collector that is dead, slow or wrong delays
// nobody: what it does not take in time is dropped and counted.
type Tracer struct {
	sampler Sampler
	c       Config
	client  *http.Client
	queue   chan *Span
	ctx     context.Context // of requests; ends with Shutdown
	cancel  context.CancelFunc
	closing chan struct{} // closed when Shutdown has begun
	once    sync.Once
	done    chan struct{} // closed when the goroutine has ended

	exported, dropped atomic.Uint64
	failing           bool // of the goroutine: the log has been told
}

// New starts the goroutine that sends. Shutdown ends it.
func New(c Config) *Tracer {
	t := &Tracer{
		sampler: c.Sampler, c: c,
		queue:   make(chan *Span, mostWaiting),
		closing: make(chan struct{}), done: make(chan struct{}),
		client: &http.Client{
			Timeout:       c.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the headers are for nobody else
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, MaxConnsPerHost: 1, MaxResponseHeaderBytes: maxAnswer, ForceAttemptHTTP2: true,
			},
		},
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	go t.run()
	return t
}

// Exported and Dropped count spans: those that the collector has taken, and those that it
// has not.
func (t *Tracer) Exported() uint64 { return t.exported.Load() }
func (t *Tracer) Dropped() uint64  { return t.dropped.Load() }

// Waiting is how many spans are to be sent.
func (t *Tracer) Waiting() int { return len(t.queue) }

func (t *Tracer) ended(s *Span) {
	select {
	case <-t.closing:
	default:
		select {
		case t.queue <- s:
			return
		default:
		}
	}
	t.dropped.Add(1)
}

// Shutdown sends what waits, as far as that can be done before ctx ends, and ends the
// goroutine.
func (t *Tracer) Shutdown(ctx context.Context) {
	if t == nil {
		return
	}
	t.once.Do(func() { close(t.closing) })
	select {
	case <-t.done:
	case <-ctx.Done():
	}
	t.cancel()
	<-t.done
	t.client.CloseIdleConnections()
}

// run sends what has come every five seconds, or as soon as it fills a request.
func (t *Tracer) run() {
	defer close(t.done)
	defer t.dropRest()
	tick := time.NewTicker(sendEvery)
	defer tick.Stop()
	var batch []*Span
	for closing := false; !closing; {
		select {
		case s := <-t.queue:
			batch = append(batch, s)
			if len(batch) < mostSent {
				continue
			}
		case <-tick.C:
		case <-t.closing:
			closing = true
		}
		t.send(batch)
		batch = nil
	}
	for t.ctx.Err() == nil && len(t.queue) > 0 {
		for len(t.queue) > 0 && len(batch) < mostSent {
			batch = append(batch, <-t.queue)
		}
		t.send(batch)
		batch = nil
	}
}

// dropRest counts what is left.
func (t *Tracer) dropRest() { t.dropped.Add(uint64(len(t.queue))) }

// send sends a batch, several times if it must, and counts it.
func (t *Tracer) send(batch []*Span) {
	if len(batch) == 0 {
		return
	}
	body := request(t.c.Resource, t.c.Version, batch)
	var err error
	for try := range tries {
		var wait time.Duration
		var again bool
		if wait, again, err = t.post(body); err == nil {
			t.exported.Add(uint64(len(batch)))
			t.works()
			return
		}
		if !again || try == tries-1 || !t.pause(max(wait, backoff(try))) {
			break
		}
		t.fails(err)
	}
	t.dropped.Add(uint64(len(batch)))
	t.fails(err)
}

// backoff is how long to wait after a try, with jitter.
func backoff(try int) time.Duration {
	d := firstPause << try
	return d/2 + rand.N(d/2)
}

// pause waits. false: the end is near, and one try had to do.
func (t *Tracer) pause(d time.Duration) bool {
	timer := time.NewTimer(min(d, longestWait))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-t.closing:
		return false
	case <-t.ctx.Done():
		return false
	}
}

// post makes one request. again says whether another one may do better, and wait after
// how long the collector would like it.
func (t *Tracer) post(body []byte) (wait time.Duration, again bool, err error) {
	r, err := http.NewRequestWithContext(t.ctx, http.MethodPost, t.c.URL, bytes.NewReader(body))
	if err != nil {
		return 0, false, errors.New("the endpoint is no URL")
	}
	for name, value := range t.c.Headers {
		r.Header.Set(name, value)
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("User-Agent", "evercache/"+t.c.Version)
	resp, err := t.client.Do(r)
	if err != nil {
		return 0, true, err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // so that the connection can be used again; what it says is of no use
	if resp.StatusCode/100 == 2 {
		return 0, false, nil
	}
	return retryAfter(resp.Header), retryable(resp.StatusCode), fmt.Errorf("the collector answers %d", resp.StatusCode)
}

// retryable are the answers after which the specification allows another try.
func retryable(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(min(n, int(longestWait/time.Second))) * time.Second
}

// fails and works tell the log of a change, and not of each request.
func (t *Tracer) fails(err error) {
	if !t.failing && t.ctx.Err() == nil {
		t.failing = true
		t.c.Log.LogAttrs(t.ctx, slog.LevelWarn, "traces cannot be exported; spans without room are dropped and counted",
			slog.String("event", "traces.failed"), slog.String("error", err.Error()))
	}
}

func (t *Tracer) works() {
	if t.failing {
		t.failing = false
		t.c.Log.LogAttrs(t.ctx, slog.LevelInfo, "traces are exported again",
			slog.String("event", "traces.exported"), slog.Uint64("dropped", t.dropped.Load()))
	}
}

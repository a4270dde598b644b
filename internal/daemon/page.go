package daemon

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/evercache/evercache/evercacheprom"
	"github.com/evercache/evercache/internal/page"
)

const (
	// mostStreams is how many browsers may have the status page open: each holds a
	// connection.
	mostStreams = 16
	// pageEvery is how often an open page learns what has changed.
	pageEvery = 500 * time.Millisecond
	// streamGrace is how long a browser may take to read one event.
	streamGrace = 10 * time.Second
)

// pages is what the status page needs beside the API.
type pages struct {
	started time.Time
	streams chan struct{} // held by each open page
	ended   chan struct{} // closed when the service drains
}

func newPages() *pages {
	return &pages{started: time.Now(), streams: make(chan struct{}, mostStreams), ended: make(chan struct{})}
}

// home is the status page for a browser, and a text for everybody else.
func (a *api) home(w http.ResponseWriter, q *request) *apiError {
	w.Header().Set("Vary", "Accept")
	if !strings.Contains(q.Header.Get("Accept"), "text/html") {
		return a.index(w, q)
	}
	return pageFile("index.html")(w, q)
}

// pageFile answers with a file of the status page.
func pageFile(name string) handler {
	content, contentType, _ := page.File(name)
	return func(w http.ResponseWriter, _ *request) *apiError {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Content-Length", strconv.Itoa(len(content)))
		h.Set("Content-Security-Policy", page.Policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		_, _ = w.Write(content) // the browser may be gone; nothing to do about it
		return nil
	}
}

// pageEvents streams what the page shows, as server-sent events, until the browser goes or
// the service drains.
func (a *api) pageEvents(w http.ResponseWriter, q *request) *apiError {
	select {
	case a.pages.streams <- struct{}{}:
		defer func() { <-a.pages.streams }()
	default:
		return errTooManyPages()
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // or nginx keeps events back
	if q.Method == http.MethodHead {
		return nil
	}
	tick := time.NewTicker(pageEvery)
	defer tick.Stop()
	for {
		if a.sendEvent(w) != nil {
			return nil // the browser is gone
		}
		select {
		case <-tick.C:
		case <-q.Context().Done():
			return nil
		case <-a.pages.ended:
			_ = a.sendEvent(w) // the last one: it drains
			return nil
		}
	}
}

func (a *api) sendEvent(w http.ResponseWriter) error {
	report, err := a.status.JSON()
	if err != nil {
		return err
	}
	snap := page.Take(time.Now(), a.pages.started, evercacheprom.ReadBuild().Version, bytes.TrimSpace(report), a.client.Stats())
	body, err := json.Marshal(snap)
	if err != nil {
		return err
	}
	rc := http.NewResponseController(w)
	if err := rc.SetWriteDeadline(time.Now().Add(streamGrace)); err != nil {
		return err
	}
	if _, err := w.Write(append(append([]byte("data: "), body...), "\n\n"...)); err != nil {
		return err
	}
	return rc.Flush()
}

// Package admin is what somebody needs who looks into a running process: profiles, the level
// of the log, and what happened in the seconds before a failover. It is for this machine only.
package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"
)

// Handler answers on the admin listener.
type Handler struct {
	mux    *http.ServeMux
	level  *slog.LevelVar
	flight *Flight
	log    *slog.Logger
}

const index = `GET  /debug/pprof/        profiles: go tool pprof http://ADDRESS/debug/pprof/profile?seconds=10
GET  /log/level           the least that is logged
PUT  /log/level           change it: debug, info, warn or error; until the process ends
GET  /debug/flight        what every goroutine did in the last seconds: go tool trace FILE
GET  /debug/flight/last   the same, as it was at the end of the last failover
`

// New returns the handler. The level is that of the log; flight may be nil.
func New(level *slog.LevelVar, flight *Flight, log *slog.Logger) *Handler {
	h := &Handler{mux: http.NewServeMux(), level: level, flight: flight, log: log}
	h.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { text(w, index) })
	h.mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	h.mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	h.mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	h.mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	h.mux.HandleFunc("GET /log/level", h.getLevel)
	h.mux.HandleFunc("PUT /log/level", h.putLevel)
	h.mux.HandleFunc("GET /debug/flight", h.getFlight)
	h.mux.HandleFunc("GET /debug/flight/last", h.getLast)
	return h
}

// ServeHTTP lets no web page in: neither one of another origin nor one whose name was made
// to point here.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	host, _, _ := strings.Cut(strings.TrimPrefix(r.Host, "[::1]"), ":")
	switch {
	case host != "localhost" && host != "127.0.0.1" && host != "":
		http.Error(w, "ask by localhost or 127.0.0.1", http.StatusForbidden)
	case r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" && r.Header.Get("Sec-Fetch-Site") != "none":
		http.Error(w, "web pages have no access here", http.StatusForbidden)
	default:
		h.mux.ServeHTTP(w, r)
	}
}

func text(w http.ResponseWriter, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, s) // who asked may be gone; nothing to do about it
}

func (h *Handler) getLevel(w http.ResponseWriter, _ *http.Request) {
	text(w, strings.ToLower(h.level.Level().String())+"\n")
}

func (h *Handler) putLevel(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64))
	asked := strings.TrimSpace(string(body))
	level, known := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}[asked]
	if err != nil || !known {
		http.Error(w, "want debug, info, warn or error as the body: curl -X PUT --data debug …/log/level", http.StatusBadRequest)
		return
	}
	was := h.level.Level()
	h.level.Set(level)
	h.log.LogAttrs(context.Background(), max(level, slog.LevelInfo), "the level of the log was changed",
		slog.String("event", "log.level"), slog.String("from", strings.ToLower(was.String())), slog.String("to", asked))
	h.getLevel(w, r)
}

func (h *Handler) getFlight(w http.ResponseWriter, _ *http.Request) {
	if h.flight == nil {
		http.Error(w, "the flight recorder does not run", http.StatusNotFound)
		return
	}
	part, err := h.flight.take()
	if err != nil {
		http.Error(w, "the flight recorder: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	attachment(w, "now", part)
}

func (h *Handler) getLast(w http.ResponseWriter, _ *http.Request) {
	at, part, ok := h.flight.Last()
	if !ok {
		http.Error(w, "there was no failover since the start", http.StatusNotFound)
		return
	}
	attachment(w, at.UTC().Format("20060102T150405Z"), part)
}

func attachment(w http.ResponseWriter, name string, part []byte) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="evercache-%s.trace"`, name))
	_, _ = w.Write(part) // who asked may be gone; nothing to do about it
}

var errBusy = errors.New("it is being read already")

// limits of the listener.
const (
	headerTimeout = 5 * time.Second
	answerTimeout = 2 * time.Minute // a profile of a minute, and its way
)

// Server is an http.Server for the handler.
func (h *Handler) Server() *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, WriteTimeout: answerTimeout, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	}
}

package censor

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestWhatOthersSaidIsMadeFitOnItsWayIntoTheLog(t *testing.T) {
	const secret = "hunter2secret"
	Hide(secret)
	words := "\x1b[31m " + secret + " \u202e" + strings.Repeat("Z", 5000)
	var out bytes.Buffer
	log := slog.New(Handler(slog.NewJSONHandler(&out, nil))).With(slog.String("error", words))
	stack := strings.Repeat("goroutine 1\n", 1000)
	log.WithGroup("g").Info("it said so", slog.Any("why", errors.New(words)), slog.String("detail", words), slog.String("cause", words),
		slog.String("stack", stack), slog.Int("n", 7))
	var line struct {
		Error string
		G     struct {
			Why, Detail, Cause, Stack string
			N                         int
		}
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	for key, text := range map[string]string{"error": line.Error, "why": line.G.Why, "detail": line.G.Detail, "cause": line.G.Cause} {
		if text == "" || len(text) > maxAttr || strings.Contains(text, secret) || strings.ContainsAny(text, "\x1b\u202e") {
			t.Errorf("%s: %d bytes: %.60q", key, len(text), text)
		}
	}
	if line.G.Stack != stack || line.G.N != 7 {
		t.Error("what is our own was changed")
	}
}

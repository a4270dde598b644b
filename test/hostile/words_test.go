package hostile_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/status"
)

// speaker is a server that logs everybody in and then answers as answer has it.
func speaker(t *testing.T, answer func(words []string) string) string {
	t.Helper()
	return testkit.Speak(t, func(words []string) string {
		switch {
		case words[0] == "HELLO" && len(words) > 1:
			return "%2\r\n" + testkit.Bulk("version") + testkit.Bulk("7.0.15") + testkit.Bulk("proto") + ":3\r\n"
		case words[0] != "CLIENT" && words[0] != "PSUBSCRIBE":
			return answer(words)
		}
		return "+OK\r\n"
	})
}

// lockedBuffer is written and read by many.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// textsIn are all texts of an answer of /health.
func textsIn(t *testing.T, h http.Handler) (all []string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/health", nil))
	d := json.NewDecoder(w.Body)
	for {
		token, err := d.Token()
		if err != nil {
			return all
		}
		if text, ok := token.(string); ok {
			all = append(all, text)
		}
	}
}

func TestWhatAServerSaysIsShownShortAndPlainAndWithoutSecrets(t *testing.T) {
	const password, other = "hunter2secret", "tr0ub4dor"
	words := "\x1b[31m\x1b]0;x\x07 " + password + " " + other + " \u202e" + strings.Repeat("Z", 5000)
	unknown := func([]string) string { return "-ERR " + words + "\r\n" }
	// a master that is well but for its words
	master := func(w []string) string {
		switch w[0] {
		case "ROLE":
			return "*3\r\n" + testkit.Bulk("master") + ":0\r\n*0\r\n"
		case "INFO":
			return testkit.Bulk("run_id:" + words + "\r\nmaxmemory_policy:" + words + "\r\nmaxmemory:1\r\nredis_version:5." + words + "\r\nredis_mode:" + words + "\r\n")
		case "TIME":
			return testkit.List(fmt.Sprint(time.Now().Unix()), "0")
		case "SET":
			return "+OK\r\n"
		case "PING":
			return "+PONG\r\n"
		case "GET":
			return "$-1\r\n"
		}
		return "-ERR " + words + "\r\n"
	}
	role := func(w []string) string {
		if w[0] == "ROLE" {
			return testkit.List(words)
		}
		return "-NOPERM " + words + "\r\n"
	}
	for name, answer := range map[string]func([]string) string{
		"an error nobody knows": unknown, "a master": master, "a role": role, "a sentinel's error": unknown,
		"a sentinel's answer": names(words, words), "a sentinel's port": names("127.0.0.1", words),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &lockedBuffer{}
			o := evercache.Options{
				Addr: speaker(t, answer), Password: password,
				Logger: slog.New(slog.NewJSONHandler(log, nil)), CloseTimeout: time.Second,
			}
			if strings.HasPrefix(name, "a sentinel") {
				o.Sentinels, o.MasterName, o.Addr = []string{speaker(t, answer), speaker(t, answer), o.Addr}, "mymaster", ""
				o.SentinelPassword = other
			}
			client, err := evercache.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			cache, err := evercache.NewCache[string](client, "c", evercache.Policy{TTL: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			texts := map[string]string{}
			for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
				h := client.Health()
				for _, f := range h.Findings {
					texts["finding "+f.Code] = f.Detail
				}
				if h.Cause != nil {
					texts["cause"] = h.Cause.Error()
				}
				if h.Sentinel != nil {
					for _, s := range h.Sentinel.Sentinels {
						if s.Err != nil {
							texts["sentinel "+s.Addr] = s.Err.Error()
						}
					}
				}
				for i, text := range textsIn(t, status.New(client).Health()) {
					texts[fmt.Sprint("health ", i)] = text
				}
				_, err := cache.Set(t.Context(), "k", "v")
				_, err2 := cache.Delete(t.Context(), "k")
				_, err3 := cache.Lookup(t.Context(), "other")
				for i, err := range []error{err, err2, err3} {
					if err != nil {
						texts[fmt.Sprint("call ", i)] = err.Error()
					}
				}
			}
			if len(texts) == 0 {
				t.Error("nothing was said")
			}
			_ = client.Close()
			for line := range strings.Lines(log.String()) {
				var attrs map[string]any
				if err := json.Unmarshal([]byte(line), &attrs); err != nil {
					t.Fatal(err)
				}
				for k, v := range attrs {
					texts["log "+k] = fmt.Sprint(v)
				}
			}
			for where, text := range texts {
				if len(text) > 2<<10 || strings.Contains(text, password) || o.SentinelPassword != "" && strings.Contains(text, other) ||
					strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
					t.Errorf("%s: %d bytes: %.300q", where, len(text), text)
				}
			}
		})
	}
}

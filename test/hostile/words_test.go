package hostile_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/testbed"
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

// wordy are servers that put words, with secrets in them, into all that they say.
func wordy(words string) map[string]func([]string) string {
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
	return map[string]func([]string) string{
		"an error nobody knows": unknown, "a master": master, "a role": role, "a sentinel's error": unknown,
		"a sentinel's answer": names(words, words), "a sentinel's port": names("127.0.0.1", words),
		"a cluster": unknown,
	}
}

// Each case has secrets of its own: what one client of a process hides, all hide.
func TestWhatAServerSaysIsShownShortAndPlainAndWithoutSecrets(t *testing.T) {
	for name := range wordy("") {
		for _, inFiles := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, secrets in files %t", name, inFiles), func(t *testing.T) {
				t.Parallel()
				data, sentinel := "hunter2"+rand.Text(), "tr0ub4dor"+rand.Text()
				answer := wordy("\x1b[31m\x1b]0;x\x07 " + data + " " + sentinel + " \u202e" + strings.Repeat("Z", 5000))[name]
				o := evercache.Options{CloseTimeout: time.Second}
				secrets := []string{data}
				if inFiles {
					o.PasswordFile = passwordFile(t, data)
				} else {
					o.Password = evercache.Secret(data)
				}
				switch addr := speaker(t, answer); {
				case name == "a cluster":
					o.ClusterNodes = []string{addr, speaker(t, answer)}
				case !strings.HasPrefix(name, "a sentinel"):
					o.Addr = addr
				default:
					o.Sentinels, o.MasterName = []string{speaker(t, answer), speaker(t, answer), addr}, "mymaster"
					secrets = append(secrets, sentinel)
					if inFiles {
						o.SentinelPasswordFile = passwordFile(t, sentinel)
					} else {
						o.SentinelPassword = evercache.Secret(sentinel)
					}
				}
				for where, text := range allThatIsSaid(t, o) {
					if len(text) > 2<<10 || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) ||
						slices.ContainsFunc(secrets, func(s string) bool { return showsPartOf(text, s) }) {
						t.Errorf("%s: %d bytes: %.300q", where, len(text), text)
					}
				}
			})
		}
	}
}

// showsPartOf reports whether 12 bytes of the secret are in the text.
func showsPartOf(text, secret string) bool {
	for i := range len(secret) - 11 {
		if strings.Contains(text, secret[i:i+12]) {
			return true
		}
	}
	return false
}

func passwordFile(t *testing.T, password string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// allThatIsSaid are the texts that health, findings, errors and log lines of a client
// have in 1.5 s, by where they were found.
func allThatIsSaid(t *testing.T, o evercache.Options) map[string]string {
	t.Helper()
	log := &testbed.Buffer{}
	o.Logger = slog.New(slog.NewJSONHandler(log, nil))
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
		addHealth(t, texts, client)
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
	return texts
}

func addHealth(t *testing.T, texts map[string]string, client *evercache.Client) {
	t.Helper()
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
}

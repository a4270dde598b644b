package check

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// daemon is evercache serve with the environment of compose.yml.
type daemon struct {
	t     *testing.T
	url   string
	token string
	http  *http.Client
	*process
}

// environment is what compose.yml gives to evercache, with the names, ports and
// files of this set.
func (s *set) environment() map[string]string {
	s.t.Helper()
	env := given(s.t, map[string]string{"KEY_PREFIX": s.prefix}, s.files...)
	for name, value := range env {
		env[name] = strings.NewReplacer("/run/secrets", s.secrets, "/certificates", filepath.Join(s.certificates, "evercache")).Replace(value)
	}
	for i, n := range s.redis {
		env["REDIS_ADDRESS_MAP"] = strings.ReplaceAll(env["REDIS_ADDRESS_MAP"], fmt.Sprintf("redis-%d:6379", i+1), n.addr())
	}
	if len(s.sentinels) == 0 { // a Cluster
		delete(env, "REDIS_ADDRESS_MAP")
	}
	for i, n := range s.sentinels {
		env["REDIS_SENTINELS"] = strings.ReplaceAll(env["REDIS_SENTINELS"], fmt.Sprintf("sentinel-%d:26379", i+1), n.addr())
	}
	return env
}

// given is what compose files give to evercache.
func given(t *testing.T, environ map[string]string, files ...string) map[string]string {
	t.Helper()
	var texts []string
	for _, f := range files {
		texts = append(texts, read(t, filepath.Join(compose, f)))
	}
	p, err := loadAll(t, environ, texts...)
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for name, value := range p.Services["evercache"].Environment {
		env[name] = *value
	}
	return env
}

// serve starts evercache with an environment and returns when it listens.
func serve(t *testing.T, env map[string]string) *daemon {
	t.Helper()
	addr := "127.0.0.1:" + freePort(t)
	env = maps.Clone(env)
	env["EVERCACHE_LISTEN"] = addr
	var environ []string
	for name, value := range env {
		environ = append(environ, name+"="+value)
	}
	d := &daemon{t: t, url: "http://" + addr, http: http.DefaultClient, process: spawn(t, environ, binary, "serve")}
	if env["EVERCACHE_TLS_CERT_FILE"] != "" {
		d.url, d.http = "https://"+addr, trusting(t, env["REDIS_TLS_CA_FILE"])
	}
	if file := env["EVERCACHE_TOKEN_FILE"]; file != "" {
		d.token = read(t, file)
	}
	eventually(t, 10*time.Second, "evercache listens", func() error {
		status, _, err := d.call(t.Context(), "GET", "/readyz", "")
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("%d %w; its log:\n%s", status, err, &d.log)
		}
		return nil
	})
	return d
}

func (d *daemon) call(ctx context.Context, method, path, body string) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, d.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+d.token)
	resp, err := d.http.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// health is the part of /health that is looked at here.
type health struct {
	Status string
	Redis  struct {
		Mode     string
		Sentinel struct {
			CurrentMaster *struct{ Port int }
			FailoverCount int
		}
	}
	Findings []struct{ Code, Severity string }
}

func (d *daemon) health() health {
	d.t.Helper()
	var h health
	_, text, err := d.call(d.t.Context(), "GET", "/health", "")
	if err == nil {
		err = json.Unmarshal([]byte(text), &h)
	}
	if err != nil {
		d.t.Fatalf("/health: %v: %s", err, text)
	}
	return h
}

// awaitUp waits until evercache is connected to a node and nothing waits.
func (d *daemon) awaitUp(n *node) {
	d.t.Helper()
	eventually(d.t, time.Minute, "evercache is up", func() error {
		h := d.health()
		if h.Status != "up" {
			return fmt.Errorf("%+v; its log:\n%s", h, tail(d.log.String()))
		}
		if m := h.Redis.Sentinel.CurrentMaster; h.Redis.Mode == "sentinel" && (m == nil || fmt.Sprint(m.Port) != n.port) {
			return fmt.Errorf("its master is %+v, not %s", m, n.port)
		}
		return nil
	})
}

// settle waits until the set has one master and evercache is connected to it: on a busy
// machine one failover may follow another.
func (s *set) settle(d *daemon) (now *node) {
	s.t.Helper()
	eventually(s.t, 2*time.Minute, "evercache follows the set", func() error {
		now = s.awaitMaster(nil)
		h := d.health()
		if m := h.Redis.Sentinel.CurrentMaster; h.Status != "up" || m == nil || fmt.Sprint(m.Port) != now.port {
			return fmt.Errorf("the master is %s: %+v; its log:\n%s", now.port, h, tail(d.log.String()))
		}
		return nil
	})
	return now
}

// awaitStatus waits for a word of /health.
func (d *daemon) awaitStatus(want string) {
	d.t.Helper()
	eventually(d.t, time.Minute, "evercache is "+want, func() error {
		if h := d.health(); h.Status != want {
			return fmt.Errorf("%+v; its log:\n%s", h, tail(d.log.String()))
		}
		return nil
	})
}

// writer puts one key after the other, 100 a second, until it is stopped.
type writer struct {
	d      *daemon
	stop   chan struct{}
	done   sync.WaitGroup
	acked  []string // keys, each with itself as its value
	failed []string // what was not answered as it should be
	worst  time.Duration
}

func (d *daemon) write(class string) *writer {
	w := &writer{d: d, stop: make(chan struct{})}
	w.done.Go(func() {
		pace := time.NewTicker(10 * time.Millisecond)
		defer pace.Stop()
		for i := 0; ; i++ {
			select {
			case <-w.stop:
				return
			case <-pace.C:
			}
			w.one(class, fmt.Sprintf("k%d", i))
		}
	})
	return w
}

// one writes a key and reads it back.
func (w *writer) one(class, key string) {
	path, began := "/v1/cache/"+class+"/"+key, time.Now()
	status, text, err := w.d.call(w.d.t.Context(), "PUT", path+"?ttl=10m", key)
	if err != nil || status != http.StatusNoContent {
		w.failed = append(w.failed, fmt.Sprintf("PUT %s: %d %s %v", key, status, text, err))
		return
	}
	w.worst = max(w.worst, time.Since(began))
	w.acked = append(w.acked, key)
	if status, text, err := w.d.call(w.d.t.Context(), "GET", path, ""); err != nil || status != http.StatusOK || text != key {
		w.failed = append(w.failed, fmt.Sprintf("GET %s: %d %s %v", key, status, text, err))
	}
}

// end stops the writer and fails the test for every call that was not answered.
func (w *writer) end() {
	w.d.t.Helper()
	close(w.stop)
	w.done.Wait()
	if len(w.failed) > 0 {
		w.d.t.Errorf("%d calls failed, the first: %s", len(w.failed), w.failed[0])
	}
	w.d.t.Logf("%d writes acknowledged, the longest took %v", len(w.acked), w.worst)
}

// missing are the acknowledged keys that the node does not hold.
func (w *writer) missing(n *node, prefix, class string) (lost []string) {
	w.d.t.Helper()
	if len(w.acked) == 0 {
		w.d.t.Fatal("nothing was acknowledged")
	}
	keys := []string{"MGET"}
	for _, k := range w.acked {
		keys = append(keys, prefix+class+":"+k)
	}
	for i, v := range strings.Split(n.must(keys...), "\n") {
		if v != w.acked[i] {
			lost = append(lost, w.acked[i])
		}
	}
	return lost
}

package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache"
)

// running is a Daemon in service.
type running struct {
	*Daemon
	t    *testing.T
	logs *logs
	stop context.CancelFunc
	done chan error
}

func runDaemon(t *testing.T, environ ...string) *running {
	t.Helper()
	d, l := newDaemon(t, append(environ, "EVERCACHE_LISTEN=127.0.0.1:"+freePort(t))...)
	return runThis(t, d, l)
}

func runThis(t *testing.T, d *Daemon, l *logs) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &running{Daemon: d, t: t, logs: l, stop: stop, done: make(chan error, 1)}
	go func() { r.done <- d.Run(ctx) }() // ends with stop
	t.Cleanup(stop)
	select {
	case <-d.Listening():
	case err := <-r.done:
		t.Fatalf("Run = %v", err)
	case <-time.After(10 * time.Second):
		t.Fatal("it does not listen after 10 s")
	}
	return r
}

// wait returns what Run returned.
func (r *running) wait() error {
	r.t.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(15 * time.Second):
		r.t.Fatal("Run has not ended after 15 s")
		return nil
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(nowhere(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestRunServesUntilItIsToldToStop(t *testing.T) {
	r := runDaemon(t)
	resp, err := http.Get("http://" + r.Addr().String() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("readyz = %d, want 200", resp.StatusCode)
	}
	r.stop()
	if err := r.wait(); err != nil {
		t.Errorf("Run = %v", err)
	}
	for _, want := range []string{`"address":"` + r.Addr().String() + `"`, `"msg":"stopped`} {
		if !strings.Contains(r.logs.String(), want) {
			t.Errorf("%s is not in the log:\n%s", want, r.logs)
		}
	}
}

func TestDrainFinishesWhatIsUnderWay(t *testing.T) {
	r := runDaemon(t)
	addr := r.Addr().String()
	upload := dialRaw(t, addr)
	upload.send("PUT /v1/cache/demo/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	if line, err := upload.r.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := upload.r.ReadString('\n'); err != nil { // the empty line
		t.Fatal(err)
	}
	probe := dialRaw(t, addr) // connected, and in the middle of its question
	probe.send("GET /readyz HTTP/1.1\r\n")
	accepted := dialRaw(t, addr) // whoever comes later is accepted later
	accepted.send("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	accepted.read("GET").wantsStatus(t, 200)

	r.stop()
	refused(t, addr)
	probe.send("Host: localhost\r\n\r\n")
	if a := probe.read("GET"); a.StatusCode != 503 || a.body != "draining\n" || !a.Close {
		t.Errorf("readyz = %d %q, close %v; want 503 draining and the end of the connection", a.StatusCode, a.body, a.Close)
	}
	select {
	case err := <-r.done:
		t.Fatalf("Run = %v before the upload has ended", err)
	default:
	}
	upload.send("hello")
	upload.read("PUT").wantsStatus(t, 204)
	if err := r.wait(); err != nil {
		t.Errorf("Run = %v", err)
	}
}

// For the delay new connections are taken and answered, so that whoever asks
// /readyz gets to hear it; what is under way at its end is finished as well.
func TestTheEndIsSeenBeforeTheListenerCloses(t *testing.T) {
	const delay = time.Second
	r := runDaemon(t, "EVERCACHE_SHUTDOWN_DELAY="+delay.String())
	addr := r.Addr().String()
	ask := func(request string) answer {
		c := dialRaw(t, addr)
		c.send("%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", request)
		method, _, _ := strings.Cut(request, " ")
		return c.read(method)
	}
	began := time.Now()
	r.stop()
	for ask("GET /readyz").StatusCode != 503 {
		if time.Since(began) > delay {
			t.Fatal("it is ready until it cannot be reached any more")
		}
	}
	ask("GET /livez").wantsStatus(t, 200)
	if a := ask("GET /health"); a.StatusCode != 503 || a.Header.Get("Evercache-Status") != "down" {
		t.Errorf("health = %d %q, want 503 down", a.StatusCode, a.body)
	}
	if a := ask("PUT /v1/cache/demo/a"); a.StatusCode != 204 || !a.Close {
		t.Errorf("a write = %d, close %v; want 204 and the end of the connection", a.StatusCode, a.Close)
	}
	upload := dialRaw(t, addr)
	upload.send("PUT /v1/cache/demo/b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	if line, err := upload.r.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := upload.r.ReadString('\n'); err != nil { // the empty line
		t.Fatal(err)
	}
	refused(t, addr)
	if took := time.Since(began); took < delay {
		t.Errorf("the listener closed after %v", took)
	}
	upload.send("hello")
	upload.read("PUT").wantsStatus(t, 204)
	if err := r.wait(); err != nil {
		t.Errorf("Run = %v", err)
	}
}

// What a request that does not end leaves of the time is the outbox's, delay or not.
func TestTheDelayIsPartOfTheDrainTimeout(t *testing.T) {
	const timeout = 4 * time.Second
	r := runDaemon(t, append(redisAway(t), "EVERCACHE_DRAIN_TIMEOUT="+timeout.String(), "EVERCACHE_SHUTDOWN_DELAY=2s")...)
	upload := dialRaw(t, r.Addr().String())
	upload.send("PUT /v1/cache/demo/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	if _, err := upload.r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r.stop()
	waitLogged(t, r.logs, "requests did not finish in time")
	if took := time.Since(began); took < timeout/2 || took >= timeout {
		t.Errorf("requests were cut off after %v of %v", took, timeout)
	}
	_ = r.wait()
	if took := time.Since(began); took > timeout+time.Second {
		t.Errorf("the end took %v", took)
	}
}

func waitLogged(t *testing.T, l *logs, text string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !strings.Contains(l.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q is not in the log:\n%s", text, l)
		}
	}
}

// Clients that keep their connections busy do not notice the end of a process:
// every request that was sent is answered, and the last answer says so.
func TestDrainCutsNoBusyConnection(t *testing.T) {
	r := runDaemon(t)
	var wg sync.WaitGroup
	var answered atomic.Int64
	for range 8 {
		c := dialRaw(t, r.Addr().String())
		wg.Go(func() {
			for {
				c.send("PUT /v1/cache/demo/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nv")
				resp, err := http.ReadResponse(c.r, &http.Request{Method: "PUT"})
				if err != nil {
					t.Errorf("a request was sent and not answered: %v", err)
					return
				}
				resp.Body.Close()
				answered.Add(1)
				if resp.Close {
					return
				}
			}
		})
	}
	for answered.Load() < 200 {
		runtime.Gosched()
	}
	r.stop()
	wg.Wait()
	if err := r.wait(); err != nil {
		t.Errorf("Run = %v", err)
	}
}

// refused waits until addr takes no connections any more.
func refused(t *testing.T, addr string) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		c.Close()
		if time.Now().After(deadline) {
			t.Fatal("connections are still accepted after 5 s")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestARequestThatDoesNotEndIsCutOff(t *testing.T) {
	r := runDaemon(t, "EVERCACHE_DRAIN_TIMEOUT=400ms")
	upload := dialRaw(t, r.Addr().String())
	upload.send("PUT /v1/cache/demo/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	if _, err := upload.r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r.stop()
	if err := r.wait(); err != nil {
		t.Errorf("Run = %v", err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	if !strings.Contains(r.logs.String(), "requests did not finish in time") {
		t.Errorf("log:\n%s", r.logs)
	}
}

func TestWritesThatCannotBeSavedAreCounted(t *testing.T) {
	r := runDaemon(t, append(redisAway(t), "EVERCACHE_DRAIN_TIMEOUT=300ms")...)
	for i := range 3 {
		req, err := http.NewRequest("PUT", fmt.Sprintf("http://%s/v1/cache/demo/k%d", r.Addr(), i), strings.NewReader("v"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	r.stop()
	unsaved, ok := errors.AsType[*evercache.UnsavedError](r.wait())
	if !ok || unsaved.Writes != 3 {
		t.Errorf("Run = %v, want 3 unsaved writes", unsaved)
	}
}

// With a journal nothing is lost, and the log says where it is.
func TestWhatWaitsInTheJournalIsToldAtTheEnd(t *testing.T) {
	for name, environ := range map[string][]string{"Redis is away": redisAway(t), "there was never one": nil} {
		t.Run(name, func(t *testing.T) {
			r := runDaemon(t, append(environ, "EVERCACHE_JOURNAL_DIR="+t.TempDir())...)
			for range 2 { // one write to be sent, not two
				r.send("PUT", "/v1/cache/demo/a", "v", 204)
			}
			r.send("DELETE", "/v1/cache/demo/b", "", 204)
			r.send("POST", "/v1/revocations", expiring("c"), 201)
			r.stop()
			if err := r.wait(); err != nil {
				t.Errorf("Run = %v", err)
			}
			if !strings.Contains(r.logs.String(), `"event":"server.journaled","writes":3`) {
				t.Errorf("log:\n%s", r.logs)
			}
		})
	}
	r := runDaemon(t, "EVERCACHE_JOURNAL_DIR="+t.TempDir())
	r.stop()
	if err := r.wait(); err != nil || strings.Contains(r.logs.String(), "server.journaled") {
		t.Errorf("Run = %v, and nothing waits; log:\n%s", err, r.logs)
	}
}

// send asks for something that must be answered with a status.
func (r *running) send(method, path, body string, status int) {
	r.t.Helper()
	req, err := http.NewRequest(method, "http://"+r.Addr().String()+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if method == "POST" {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Evercache-Min-Durability", "journaled")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != status {
		r.t.Fatalf("%s %s: %d, want %d", method, path, resp.StatusCode, status)
	}
}

// Without any Redis settings, and none that came by, an end is just an end.
func TestMemoryThatWasAllEndsAtOnce(t *testing.T) {
	r := runDaemon(t)
	c := dialRaw(t, r.Addr().String())
	c.send("PUT /v1/cache/demo/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nv")
	c.read("PUT").wantsStatus(t, 204)
	began := time.Now()
	r.stop()
	if err := r.wait(); err != nil {
		t.Errorf("Run = %v", err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestAnAddressInUseIsAnError(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	d, _ := newDaemon(t, "EVERCACHE_LISTEN="+ln.Addr().String())
	err = d.Run(t.Context())
	if _, wrong := errors.AsType[*ConfigError](err); err == nil || wrong {
		t.Errorf("Run = %v, want an error that is not the configuration's", err)
	}
}

func TestFindingsOfTheConfigurationAreLogged(t *testing.T) {
	env := append(redisAway(t), "REDIS_SENTINEL_ENABLED=true", "REDIS_SENTINELS=a:1")
	r := runDaemon(t, env...)
	if !strings.Contains(r.logs.String(), `"level":"ERROR"`) {
		t.Errorf("no error in the log:\n%s", r.logs)
	}
	if !strings.Contains(r.logs.String(), `"mode":"standalone","requested_mode":"sentinel"`) {
		t.Errorf("the modes are not in the log:\n%s", r.logs)
	}
	r.stop()
	_ = r.wait()
}

package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/internal/daemon"
	"github.com/evercache/evercache/redistest"
)

const (
	password = "canary-password-4711"
	hostile  = `<img src=x onerror=alert(1)>`
	patience = 30 * time.Second
)

// serve runs the daemon with these settings until the test ends or stop is called.
func serve(t *testing.T, environ ...string) (url string, stop func()) {
	t.Helper()
	cfg, err := config.FromEnv(append(environ, "EVERCACHE_LISTEN=127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	d := daemon.New(cfg, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = d.Run(ctx) // what a test leaves in the outbox is nobody's loss
	}()
	stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(stop)
	select {
	case <-d.Listening():
	case <-ended:
		t.Fatal("the daemon has ended")
	}
	return "http://" + d.Addr().String() + "/", stop
}

// tab is a page in a browser of its own, and what went wrong in it.
type tab struct {
	*testing.T
	ctx context.Context

	mu     sync.Mutex // guards faults
	faults []string
}

func open(t *testing.T, url string, width, height int64, scheme string) *tab {
	t.Helper()
	program := os.Getenv("EVERCACHE_TEST_CHROMIUM")
	if program == "" {
		program = "chromium"
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox)
	alloc, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	b := &tab{T: t, ctx: ctx}
	b.do() // starts the browser
	err := chromedp.Listen(ctx, func(ev any) {
		switch e := ev.(type) {
		case *runtime.EventExceptionThrown:
			b.fault(fmt.Sprintf("exception: %s, line %d of %s", e.ExceptionDetails.Text, e.ExceptionDetails.LineNumber+1, e.ExceptionDetails.URL))
		case *cdplog.EventEntryAdded: // refused by the policy, not found, and the like
			b.fault(fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, cdplog.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.EmulateViewport(width, height), chromedp.Navigate(url))
	return b
}

func (b *tab) fault(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, text)
}

// quiet fails where the browser has complained.
func (b *tab) quiet() {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.faults {
		b.Errorf("the browser says: %s", f)
	}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.Fatal(err)
	}
}

// eval is the value of an expression in the page.
func eval[V any](b *tab, expression string) V {
	b.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[V](expression))
	if err != nil {
		b.Fatal(err)
	}
	return v
}

func (b *tab) text(selector string) string {
	b.Helper()
	return eval[string](b, fmt.Sprintf("[...document.querySelectorAll(%q)].map(e => e.innerText).join('\\n')", selector))
}

func (b *tab) until(what string, ok func() bool) {
	b.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			b.Fatalf("%s: not within %v. The page:\n%s", what, patience, b.text("body"))
		}
	}
}

// shoot keeps a picture where EVERCACHE_SCREENSHOTS names a directory.
func (b *tab) shoot(name string) {
	b.Helper()
	dir := os.Getenv("EVERCACHE_SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.Fatal(err)
	}
}

func sentinelEnv(set *redistest.Sentinel) []string {
	return []string{
		"REDIS_SENTINEL_ENABLED=true", "REDIS_SENTINELS=" + strings.Join(set.Addrs(), ","),
		"REDIS_SENTINEL_MASTER_NAME=" + set.MasterName(), "REDIS_PASSWORD=" + password,
	}
}

// inside are the widths and colours in which everything must be readable.
var screens = map[string]struct {
	width, height int64
	scheme        string
}{"wide": {1280, 900, "light"}, "narrow": {390, 844, "dark"}}

// TestThePageTellsOfAFailover within a second of its end, on a wide and on a narrow screen.
func TestThePageTellsOfAFailover(t *testing.T) {
	for name, s := range screens {
		t.Run(name, func(t *testing.T) {
			set := redistest.StartSentinel(t, redistest.WithFastSentinel(), redistest.WithPassword(password))
			url, _ := serve(t, sentinelEnv(set)...)
			b := open(t, url, s.width, s.height, s.scheme)
			b.until("it is up", func() bool { return b.text("#status") == "up" })
			b.until("the nodes are there", func() bool {
				return eval[int](b, "document.querySelectorAll('#topology tbody tr').length") == 6
			})
			if got := b.text("#findings"); !strings.Contains(got, "All is well") {
				t.Errorf("findings of a healthy set: %s", got)
			}
			traffic(t, url)
			eval[bool](b, `window.said = []; new MutationObserver(() => said.push(document.getElementById('status').textContent)).observe(document.getElementById('status'), {childList: true}), true`)
			set.Master().Kill()
			ended := failedOver(t, url)
			b.until("it tells of the failover", func() bool { return b.text("#failovers tbody tr") != "" })
			if took := time.Since(ended); took > 2*time.Second { // 500 ms between events; the machine may be busy
				t.Errorf("the page was %v behind", took)
			} else {
				t.Logf("the page was %v behind", took.Round(time.Millisecond))
			}
			b.until("it is up again", func() bool { return b.text("#status") == "up" })
			if said := eval[[]string](b, "said"); len(said) < 2 || said[0] != "degraded" {
				t.Errorf("a screen reader heard %q, want degraded and then up", said)
			}
			if row := b.text("#failovers tbody tr"); !strings.Contains(row, "failure") {
				t.Errorf("the failover: %q", row)
			}
			b.shoot("page-" + name)
			b.accessible()
			if strings.Contains(eval[string](b, "document.documentElement.outerHTML"), password) {
				t.Error("the password is in the page")
			}
			b.quiet()
		})
	}
}

// traffic writes and reads a few keys: pictures of an idle service show little.
func traffic(t *testing.T, url string) {
	t.Helper()
	for i := range 200 {
		method, body := http.MethodGet, io.Reader(nil)
		if i < 20 {
			method, body = http.MethodPut, strings.NewReader("value")
		}
		req, err := http.NewRequestWithContext(t.Context(), method, fmt.Sprint(url, "v1/cache/product/", i%20), body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		time.Sleep(10 * time.Millisecond)
	}
}

// failedOver waits until /health counts one, and returns when it did.
func failedOver(t *testing.T, url string) time.Time {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get(url + "health")
		if err != nil {
			t.Fatal(err)
		}
		var h struct {
			Redis struct{ Sentinel struct{ FailoverCount int } }
		}
		err = json.NewDecoder(resp.Body).Decode(&h)
		_ = resp.Body.Close()
		if err == nil && h.Redis.Sentinel.FailoverCount > 0 {
			return time.Now()
		}
	}
	t.Fatal("no failover")
	return time.Time{}
}

// accessible checks what keyboards, screen readers and narrow screens need.
func (b *tab) accessible() {
	b.Helper()
	for check, expression := range map[string]string{
		"nothing sticks out of the screen":        `document.documentElement.scrollWidth <= document.documentElement.clientWidth`,
		"one h1, and headings in order":           `document.querySelectorAll('h1').length === 1 && document.querySelectorAll('section > h2').length === document.querySelectorAll('section').length && !document.querySelector('h3')`,
		"every section has a name":                `[...document.querySelectorAll('section')].every(s => document.getElementById(s.getAttribute('aria-labelledby')))`,
		"every table has a caption and heads":     `[...document.querySelectorAll('table')].every(t => t.caption && t.querySelector('thead th[scope=col]') && t.querySelector('tbody th[scope=row]'))`,
		"every picture has a text":                `[...document.querySelectorAll('svg, img')].every(s => s.getAttribute('aria-label') || s.getAttribute('alt'))`,
		"what scrolls can be reached by keyboard": `[...document.querySelectorAll('.scroll')].every(s => s.tabIndex === 0)`,
		"the language is told":                    `document.documentElement.lang === 'en'`,
		"enough contrast": `(() => {
			const rgb = c => c.match(/[\d.]+/g).slice(0, 3).map(Number);
			const light = c => { const [r, g, b] = rgb(c).map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
			const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!/, 0\)$/.test(c)) return c; } return 'rgb(255,255,255)'; };
			return [...document.querySelectorAll('p, dt, dd, th, td, a, h1, h2, caption, code')].filter(e => e.offsetParent && e.innerText.trim()).every(e => {
				const [x, y] = [light(getComputedStyle(e).color), light(ground(e))].sort((a, b) => b - a);
				return (x + .05) / (y + .05) >= 4.5;
			});
		})()`,
	} {
		if !eval[bool](b, expression) {
			b.Errorf("not so: %s", check)
		}
	}
	eval[bool](b, `document.activeElement.blur(), true`)
	b.do(chromedp.KeyEvent("\t"))
	if got := eval[string](b, "document.activeElement.className"); got != "skip" {
		b.Errorf("the first Tab goes to %q, want the link that skips to the content", got)
	}
}

// TestThePageSaysWhenNobodyAnswers, and does not go on showing old values as those of now.
func TestThePageSaysWhenNobodyAnswers(t *testing.T) {
	url, stop := serve(t)
	b := open(t, url, 1280, 900, "dark")
	b.until("it shows something", func() bool { return b.text("#redis") != "" })
	if b.text("#lost") != "" {
		t.Error("it says that nobody answers")
	}
	b.quiet()
	stop()
	b.until("it says that nobody answers", func() bool {
		return strings.Contains(b.text("#lost"), "has not heard") && b.text("#status") == "no answer"
	})
}

// TestTextsOfOthersAreOnlyText: error texts, addresses and names come from elsewhere.
func TestTextsOfOthersAreOnlyText(t *testing.T) {
	addr := refuses(t, "-ERR "+hostile)
	url, _ := serve(t, "REDIS_SENTINEL_ENABLED=true", "REDIS_SENTINEL_MASTER_NAME=m", "REDIS_SENTINELS="+strings.Join([]string{addr, refuses(t, "-"+hostile), refuses(t, "-ERR x")}, ","))
	b := open(t, url, 1280, 900, "light")
	b.until("it shows the text", func() bool { return strings.Contains(b.text("main"), hostile) })
	if n := eval[int](b, "document.querySelectorAll('img, main script').length"); n != 0 {
		t.Errorf("%d elements were made of a text", n)
	}
	b.quiet()
}

// refuses is the address of a server that answers every command with the same reply.
func refuses(t *testing.T, reply string) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for buf := make([]byte, 4096); ; {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					commands := strings.Count("\n"+string(buf[:n]), "\n*")
					_, _ = io.WriteString(c, strings.Repeat(reply+"\r\n", commands))
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// TestAClusterIsShown with its shards.
func TestAClusterIsShown(t *testing.T) {
	set := redistest.StartCluster(t, redistest.WithPassword(password))
	url, _ := serve(t, "REDIS_CLUSTER_NODES="+strings.Join(set.Addrs(), ","), "REDIS_PASSWORD="+password)
	b := open(t, url, 1280, 900, "dark")
	b.until("it is up, with three shards", func() bool {
		return b.text("#status") == "up" && eval[int](b, "document.querySelectorAll('#topology tbody tr').length") == 3
	})
	b.shoot("page-cluster")
	b.accessible()
	b.quiet()
}

package history

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const healthWithTwo = `{"status":"up","redis":{"mode":"sentinel","sentinel":{"failoverCount":5,"failovers":[
{"at":"2026-11-30T12:00:00Z","from":"10.0.0.1:6379","to":"10.0.0.2:6379","cause":"failure","epoch":7,"blackoutMs":1461,"replayed":96,
 "sdown":"2026-11-30T11:59:59.65Z","odown":"2026-11-30T11:59:59.73Z","promoted":"2026-11-30T11:59:59.96Z","confirmed":"2026-11-30T12:00:01Z"},
{"at":"2026-11-30T12:10:00Z","from":"10.0.0.2:6379","to":"10.0.0.1:6379","cause":"planned","epoch":8,"blackoutMs":200,"replayed":0,
 "sdown":null,"odown":null,"promoted":null,"confirmed":null}]}}}`

const healthOfShards = `{"status":"up","redis":{"mode":"cluster","cluster":{"failoverCount":1,"failovers":[
{"at":"2026-11-30T12:00:00Z","from":"10.0.0.1:6379","to":"10.0.0.2:6379","cause":"failure","epoch":7,"blackoutMs":1461,"replayed":96,"shard":2}]}}}`

func read(t *testing.T, body string) History {
	t.Helper()
	h, err := OfHealth([]byte(body), "http://127.0.0.1:3000")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestFailoversAreShown(t *testing.T) {
	local := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = local })
	for name, tt := range map[string]struct{ body, want string }{
		"two of five": {healthWithTwo, `5 failovers since the start of the process; the last 2:

When                     From           To             Cause    Epoch  No master for  Held down  Promoted to used  Replayed
2026-11-30 12:00:00.000  10.0.0.1:6379  10.0.0.2:6379  failure  7      1.461s         350ms      40ms              96
2026-11-30 12:10:00.000  10.0.0.2:6379  10.0.0.1:6379  planned  8      200ms                                       0
`},
		"of a Cluster": {healthOfShards, `When                     From           To             Cause    Epoch  No master for  Held down  Promoted to used  Replayed  Shard
2026-11-30 12:00:00.000  10.0.0.1:6379  10.0.0.2:6379  failure  7      1.461s                                      96        2
`},
		"none":       {`{"status":"up","redis":{"mode":"standalone"}}`, "no failover since the start of the process\n"},
		"short form": {`{"status":"up","redis":{"mode":"sentinel"},"details":"x"}`, "It tells nothing without its token: set EVERCACHE_TOKEN or EVERCACHE_TOKEN_FILE.\n"},
	} {
		if got := read(t, tt.body).Text(0, false); got != tt.want {
			t.Errorf("%s:\n%swant\n%s", name, got, tt.want)
		}
	}
	if got := read(t, healthOfShards).Failovers[0].Line(); got != "12:00:00.000  10.0.0.2:6379 is master in place of 10.0.0.1:6379 (failure, epoch 7): no master for 1.461s, 96 kept writes were sent  (shard 2)" {
		t.Error(got)
	}
}

func TestOnlyWhatIsNewIsTold(t *testing.T) {
	all := read(t, healthWithTwo)
	before := all
	before.Failovers = all.Failovers[:1]
	if fresh := all.After(before); len(fresh) != 1 || fresh[0].Epoch != 8 {
		t.Errorf("%+v", fresh)
	}
	if fresh := all.After(all); len(fresh) != 0 {
		t.Errorf("%+v", fresh)
	}
}

func TestWhatIsNoHealthIsRefused(t *testing.T) {
	for _, body := range []string{"", "ok", "{}", `{"status":"up"}`, strings.Repeat(" ", MaxHealth) + healthWithTwo} {
		if _, err := OfHealth([]byte(body), ""); !errors.Is(err, ErrNoHealth) {
			t.Errorf("%.40q: %v", body, err)
		}
	}
}

func FuzzOfHealth(f *testing.F) {
	f.Add([]byte(healthWithTwo))
	f.Add([]byte(healthOfShards))
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := OfHealth(body, "http://x")
		if err != nil {
			return
		}
		var text strings.Builder
		text.WriteString(h.Text(100, false))
		for _, one := range h.Failovers {
			text.WriteString(one.Line())
		}
		if strings.ContainsFunc(text.String(), func(c rune) bool { return c < ' ' && c != '\n' || c == 0x7f }) {
			t.Errorf("the text holds control characters: %q", text.String())
		}
	})
}

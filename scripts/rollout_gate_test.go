package scripts_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sample is what an instance has counted so far.
type sample struct{ errors, all, seconds, timed float64 }

func (s sample) String() string {
	return fmt.Sprintf(`# TYPE evercache_cache_requests_total counter
evercache_cache_requests_total{op="get",result="hit",tier="l1"} %g
evercache_cache_requests_total{op="get",result="error",tier="none"} %g
evercache_cache_requests_total{op="set",result="rejected",tier="none"} %g
evercache_cache_request_duration_seconds_bucket{op="lookup",le="0.1"} 99999
evercache_cache_request_duration_seconds_sum{op="lookup"} %g
evercache_cache_request_duration_seconds_count{op="lookup"} %g
evercache_cache_request_duration_seconds_sum{op="get"} %g
evercache_cache_request_duration_seconds_count{op="get"} %g
`, s.all-s.errors, s.errors, s.all, s.seconds, s.timed, 7*s.seconds, s.timed)
}

func TestTheGateOfARollout(t *testing.T) {
	start := sample{10, 1e6, 100, 50000}
	plus := func(errors, all, seconds, timed float64) sample {
		return sample{start.errors + errors, start.all + all, start.seconds + seconds, start.timed + timed}
	}
	well := plus(0, 10000, 1, 1000) // 1 ms
	for name, c := range map[string]struct {
		before, canary *sample
		want           string
		status         int
	}{
		"as before":                {&well, new(plus(0, 2000, 0.5, 500)), "gate latency: 1.000 ms, at most 1.200 ms: kept", 0},
		"errors":                   {&well, new(plus(3, 2000, 0.5, 500)), "gate errors: 0.150 %, at most 0.100 %: missed", 1},
		"as many errors as before": {new(plus(100, 10000, 1, 1000)), new(plus(21, 2000, 0.5, 500)), "gate errors: 1.050 %, at most 1.050 %: kept", 0},
		"5 % more errors":          {new(plus(100, 10000, 1, 1000)), new(plus(22, 2000, 0.5, 500)), "at most 1.050 %: missed", 1},
		"20 % slower":              {&well, new(plus(0, 2000, 0.61, 500)), "gate latency: 1.220 ms, at most 1.200 ms: missed", 1},
		"alone":                    {nil, new(plus(2, 2000, 0.9, 500)), "gate latency: 1.800 ms, at most 2.000 ms: kept", 0},
		"alone and slow":           {nil, new(plus(0, 2000, 1.1, 500)), "gate latency: 2.200 ms, at most 2.000 ms: missed", 1},
		"memory alone":             {&well, new(plus(0, 2000, 0, 0)), "memory has answered everything: kept", 0},
		"nothing to compare with":  {&start, new(plus(0, 2000, 0.5, 500)), "no latency to compare with", 2},
		"too few":                  {&well, new(plus(0, 999, 0.5, 500)), "999 requests of the canary, at least 1000", 2},
		"restarted":                {&well, &sample{0, 5, 0, 0}, "was restarted", 2},
		"no metrics":               {&well, nil, "http://canary/metrics has no metrics of evercache", 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			s.serves("before", start, c.before)
			args := []string{"http://before/metrics", "http://canary/metrics"}
			if c.before == nil {
				args = args[1:]
			}
			s.serves("canary", start, c.canary)
			out, status := s.gate(args...)
			if status != c.status || !strings.Contains(out, c.want) {
				t.Errorf("status %d, want %d and %q:\n%s", status, c.status, c.want, out)
			}
			if strings.Contains(out, "canary-of-the-token") {
				t.Errorf("the token is shown: %s", out)
			}
		})
	}
}

func TestTheGateOfARolloutWithoutAnInstance(t *testing.T) {
	s := newShop(t)
	s.program("curl", "exit 22\n")
	if out, status := s.gate("http://canary/metrics"); status != 2 || !strings.Contains(out, "http://canary/metrics cannot be read") {
		t.Errorf("status %d: %s", status, out)
	}
	if out, status := s.gate(); status != 2 || !strings.Contains(out, "usage:") {
		t.Errorf("status %d: %s", status, out)
	}
}

// serves is an instance whose counters go from one sample to the next. Without a next one
// it has no metrics. A curl that is not shown the token fails.
func (s shop) serves(host string, first sample, next *sample) {
	s.Helper()
	s.write(filepath.Join(s.cache, host, "1"), first.String())
	switch {
	case next != nil:
		s.write(filepath.Join(s.cache, host, "2"), next.String())
	default:
		s.write(filepath.Join(s.cache, host, "1"), "go_goroutines 7\n")
	}
	s.program("curl", `config="" url=""
while [ $# -gt 0 ]; do
	case $1 in -K) config=$2 && shift ;; http*) url=$1 ;; esac
	shift
done
grep -q 'Bearer canary-of-the-token' "$config" || exit 22
host=${url#http://} host=${host%/metrics}
cat "`+s.cache+`/$host/1"
[ ! -e "`+s.cache+`/$host/2" ] || mv "`+s.cache+`/$host/2" "`+s.cache+`/$host/1"
`)
}

func (s shop) gate(args ...string) (out string, status int) {
	s.Helper()
	cmd := exec.CommandContext(s.Context(), "./rollout-gate.sh", args...)
	cmd.Env = []string{"PATH=" + s.bin + ":" + os.Getenv("PATH"), "EVERCACHE_TOKEN=canary-of-the-token", "SECONDS_BETWEEN=0"}
	text, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		s.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

package doctor

import (
	"fmt"
	"strings"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/survey"
)

// supportEnds are the days after which a series gets no more security fixes from its project, as far as the
// day is known. Sources: github.com/redis/redis/security, valkey.io/topics/releases and endoflife.date. A
// series that is not here is not reported.
var supportEnds = map[string]string{
	"redis 5.0": "2022-04-27",
	"redis 6.0": "2022-05-31",
	"redis 7.0": "2024-07-29",
	"redis 8.0": "2026-02-11",

	"valkey 7.2": "2029-04-16",
	"valkey 8.0": "2027-09-15",
	"valkey 8.1": "2030-03-31",
	"valkey 9.0": "2028-10-21",
}

var supportChecks = []Check{{
	Code: "redis-end-of-life", Severity: health.SeverityInfo, Title: "The version gets no more security fixes",
	Why:  "A fault that is found from now on is mended in newer series only.",
	Fix:  "Use a series that is supported: github.com/redis/redis/security, valkey.io/topics/releases. A distribution may go on mending an old one: its changelog says so.",
	When: "the series has come to its end: Redis before 6.2, Redis 7.0, Redis 8.0; a Valkey after the day that its project has announced",
	find: func(v *view) (all []seen) {
		by := map[string][]string{}
		note := func(s survey.Server) {
			if text := outOfSupport(s, v.Survey.At); text != "" {
				by[text] = append(by[text], s.Addr)
			}
		}
		for _, s := range v.sentinels {
			note(s.Server)
		}
		for _, n := range v.nodes {
			note(n.Server)
		}
		for _, text := range keysByCount(by) {
			all = append(all, seen{detail: fmt.Sprintf("INFO server: %s at %s", text, list(by[text]))})
		}
		return all
	},
}}

// outOfSupport says that the series of a server has come to its end; "": it has not, or that is not known.
func outOfSupport(s survey.Server, at time.Time) string {
	name, version := product(s)
	major, rest, ok := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	if !ok {
		return ""
	}
	end, known := supportEnds[name+" "+major+"."+minor]
	if name == "redis" && len(major) == 1 && major < "5" && major > "0" {
		end, known = supportEnds["redis 5.0"], true // it ended before that
	}
	day, err := time.Parse(time.DateOnly, end)
	if !known || err != nil || at.Before(day.AddDate(0, 0, 1)) {
		return ""
	}
	return fmt.Sprintf("%s %s, whose series ended on %s", name, version, end)
}

// product is what a server is, and its version.
func product(s survey.Server) (name, version string) {
	if n := s.Info["server_name"]; n != "" && n != "redis" {
		return n, s.Info[n+"_version"]
	}
	return "redis", s.Info["redis_version"]
}

package config

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/durations"
)

// to stores what parse makes of a value in a field of the draft.
func to[T any](field func(*draft) *T, parse func(string) (T, []problem)) func(*draft, string) []problem {
	return func(d *draft, v string) []problem {
		x, bad := parse(v)
		if len(bad) == 0 {
			*field(d) = x
		}
		return bad
	}
}

// maybe keeps the difference between not set and set.
func maybe[T any](parse func(string) (T, []problem)) func(string) (*T, []problem) {
	return func(v string) (*T, []problem) {
		x, bad := parse(v)
		return &x, bad
	}
}

func text(v string) (string, []problem) { return v, nil }

// maxZone bounds REDIS_ZONE, in bytes.
const maxZone = 256

func zone(v string) (string, []problem) {
	if len(v) > maxZone {
		return "", wrong(v[:32], "is too long", "give the availability-zone of your servers, at most 256 bytes")
	}
	return v, nil
}

func secret(v string) (evercache.Secret, []problem) { return evercache.Secret(v), nil }

func boolean(v string) (bool, []problem) {
	switch strings.ToLower(v) {
	case "true", "1", "yes":
		return true, nil
	case "false", "0", "no":
		return false, nil
	}
	return false, wrong(v, "is neither true nor false", "write true or false (1, 0, yes and no will do)")
}

func whole(lo, hi int) func(string) (int, []problem) {
	return func(v string) (int, []problem) {
		n, err := strconv.Atoi(v)
		if err != nil || n < lo || n > hi {
			return 0, wrong(v, "is not a possible number", fmt.Sprintf("give a whole number from %d to %d", lo, hi))
		}
		return n, nil
	}
}

func port(v string) (int, []problem) {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > math.MaxUint16 {
		return 0, wrong(v, "is not a port", "give a number from 1 to 65535")
	}
	return n, nil
}

// duration reads Go's form or whole seconds.
func duration(lo, hi time.Duration) func(string) (time.Duration, []problem) {
	return func(v string) (time.Duration, []problem) {
		d, ok := parseDuration(v)
		if !ok {
			return 0, wrong(v, "is not a duration", "write 250ms, 90s, 5m or 1h30m, or whole seconds")
		}
		if d < lo || d > hi {
			return 0, outOfBounds(v, d, lo, hi)
		}
		return d, nil
	}
}

// outOfBounds says how a bare number was read: who writes 100 often means milliseconds.
func outOfBounds(v string, d, lo, hi time.Duration) []problem {
	fault, fix := "is out of bounds", fmt.Sprintf("give a duration from %s to %s", short(lo), short(hi))
	if n, err := strconv.ParseInt(v, 10, 64); err == nil && n > 0 && d == time.Duration(n)*time.Second {
		fault = "is out of bounds: a number without a unit is seconds, so it was read as " + short(d)
		if n <= hi.Milliseconds() && n >= lo.Milliseconds() {
			fix += fmt.Sprintf("; for milliseconds write %dms", n)
		}
	}
	return wrong(v, fault, fix)
}

func parseDuration(v string) (time.Duration, bool) {
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		const most = int64(math.MaxInt64 / time.Second)
		return time.Duration(min(max(n, -most), most)) * time.Second, true
	}
	return durations.Parse(v)
}

// short is a duration without the zeros that String adds.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// count reads a whole number.
func count(lo, hi int) func(string) (int, []problem) {
	return func(v string) (int, []problem) {
		n, err := strconv.Atoi(v)
		if err != nil {
			return 0, wrong(v, "is not a number", "write a whole number, digits only")
		}
		if n < lo || n > hi {
			return 0, wrong(v, "is out of bounds", fmt.Sprintf("give a number from %d to %d", lo, hi))
		}
		return n, nil
	}
}

// size reads bytes, or a number with a unit. Every unit is a power of 1024, as
// Redis reads mb.
func size(lo, hi int64) func(string) (int64, []problem) {
	return func(v string) (int64, []problem) {
		digits := strings.TrimRight(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
		shift, ok := sizeUnits[strings.ToLower(v[len(digits):])]
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if !ok || err != nil {
			return 0, wrong(v, "is not a size", "write bytes as a whole number, or with a unit: 512KiB, 32MiB, 1GiB")
		}
		if n < 0 || n > hi>>shift || n<<shift < lo {
			return 0, wrong(v, "is out of bounds", fmt.Sprintf("give a size from %s to %s", bytesText(lo), bytesText(hi)))
		}
		return n << shift, nil
	}
}

var sizeUnits = map[string]uint{
	"": 0, "b": 0,
	"k": 10, "ki": 10, "kb": 10, "kib": 10,
	"m": 20, "mi": 20, "mb": 20, "mib": 20,
	"g": 30, "gi": 30, "gb": 30, "gib": 30,
}

// bytesText writes a size with the largest unit that fits without a rest.
func bytesText(n int64) string {
	for _, u := range []struct {
		shift uint
		name  string
	}{{30, "GiB"}, {20, "MiB"}, {10, "KiB"}} {
		if n > 0 && n%(1<<u.shift) == 0 {
			return strconv.FormatInt(n>>u.shift, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

func choice(names ...string) func(string) (string, []problem) {
	return func(v string) (string, []problem) {
		for _, n := range names {
			if strings.EqualFold(v, n) {
				return n, nil
			}
		}
		return "", wrong(v, "is not one of the choices", "write "+strings.Join(names, ", "))
	}
}

func level(v string) (slog.Level, []problem) {
	switch strings.ToLower(v) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, wrong(v, "is not a log level", "write debug, info, warn or error")
}

// maxPrefixBytes is half of a key.
const maxPrefixBytes = evercache.MaxKeyBytes / 2

// keyPrefix keeps out what the library would refuse.
func keyPrefix(v string) (string, []problem) {
	switch {
	case len(v) > maxPrefixBytes:
		return "", wrong("", "is too long", fmt.Sprintf("give at most %d bytes", maxPrefixBytes))
	case strings.ContainsAny(v, "{}"):
		return "", wrong(v, "holds a brace", "leave braces out: they would put every key into one Cluster slot")
	}
	return v, nil
}

// masterName is checked by the rule of Sentinel itself.
func masterName(v string) (string, []problem) {
	for _, c := range v {
		if !asciiAlnum(c) && !strings.ContainsRune(".-_", c) {
			return "", wrong(v, "is not a master name", "use letters, digits and .-_ as in the line `sentinel monitor <name>`")
		}
	}
	if len(v) > 255 {
		return "", wrong("", "is too long", "give at most 255 bytes")
	}
	return v, nil
}

func asciiAlnum(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

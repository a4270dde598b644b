// Package backup copies the keys of a Redis set into one file, checks such files, and
// brings them back. It reads from replicas (SCAN, DUMP) and writes to masters (RESTORE),
// which it finds as evercache does. A file is read and written as a stream: memory holds
// a few records, however many there are.
package backup

import (
	"errors"
	"time"

	"golang.org/x/time/rate"

	"github.com/evercache/evercache/health"
)

// Bounds.
const (
	// MaxKey is the longest key that a file holds, in bytes.
	MaxKey = 16 << 20
	// MaxPayload is the longest value, as DUMP makes it: a server takes no longer one.
	MaxPayload = 512 << 20
	// DefaultMaxValue is how much memory a key may take in Redis to be copied.
	DefaultMaxValue = 64 << 20

	maxMeta = 1 << 20 // of a header, section or footer

	// A batch is what is asked for, or sent, at once, unless one record is larger.
	batchBytes   = 1 << 20
	batchRecords = 256
)

// Options say what a backup takes.
type Options struct {
	Match     string // a pattern of SCAN; "": all keys
	Prefix    string // what keys begin with; "": all
	Gzip      bool
	MaxValue  int64  // see DefaultMaxValue; 0: that
	KeyPrefix string // of evercache
	// FromMaster lets a master be read where no replica is fit.
	FromMaster bool
	// Rate is how many records a second are read at most; 0: no limit.
	Rate int
	// Version is that of the program, for the header.
	Version string
	// Progress, where not nil, is told how far it is. total is about how many records
	// there will be; 0: not known.
	Progress func(records, bytes, total int64)

	mode  health.Mode
	db    int
	limit *rate.Limiter // nil: none
}

func (o Options) maxValue() int64 {
	if o.MaxValue > 0 {
		return o.MaxValue
	}
	return DefaultMaxValue
}

// atOnce is how many records are read together.
func (o Options) atOnce() int { return together(o.Rate) }

// together is how many records go at once at so many a second; 0: no limit.
func together(rate int) int {
	if rate > 0 {
		return min(batchRecords, max(1, rate/5))
	}
	return batchRecords
}

// Result is what a backup has copied.
type Result struct {
	File    string        `json:"file"`
	Began   time.Time     `json:"began"`
	Took    time.Duration `json:"-"`
	Seconds float64       `json:"seconds"`
	Size    int64         `json:"size"` // of the file
	Footer
	Sources []string `json:"-"` // where it was read
}

// Complete reports whether nothing was left out that was asked for.
func (r Result) Complete() bool { return r.TooLarge == 0 && r.Moving == 0 }

var errInterrupted = errors.New("interrupted")

package machine

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Flags are the arguments of a benchmark. They collect everything that is wrong.
type Flags struct {
	*flag.FlagSet
	errs []error
}

// NewFlags are those of one benchmark.
func NewFlags(name string) *Flags {
	return &Flags{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError)}
}

// Read reads the arguments. Its error ends the program at once.
func (f *Flags) Read(args []string) error {
	if err := f.Parse(args); err != nil {
		return err
	}
	f.Want(f.NArg() == 0, "unexpected argument %q", f.Arg(0))
	return nil
}

// Want notes a fault unless ok.
func (f *Flags) Want(ok bool, format string, args ...any) {
	if !ok {
		f.errs = append(f.errs, fmt.Errorf(format, args...))
	}
}

// WantSecond notes a fault unless -duration is long enough to measure something.
func (f *Flags) WantSecond(d time.Duration) {
	f.Want(d >= time.Second, "-duration %v: want at least a second", d)
}

// Numbers reads a comma-separated list of whole numbers.
func (f *Flags) Numbers(name, text string, lo, hi int) (all []int) {
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		f.Want(err == nil && n >= lo && n <= hi, "-%s: %q, want %d to %d", name, part, lo, hi)
		all = append(all, n)
	}
	return all
}

// Err is all that is wrong, or nil.
func (f *Flags) Err() error { return errors.Join(f.errs...) }

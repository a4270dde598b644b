package backup

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/survey"
)

// State is what a restore would meet.
type State struct {
	Masters  []string
	Versions []string // of each
	Keys     int64    // of all of them
}

// Look finds the masters that a restore would write to. It waits for them as long as that
// would.
func Look(ctx context.Context, t survey.Target, patience time.Duration) (State, error) {
	s := newSet(t)
	defer s.close()
	if err := s.await(ctx, patience); err != nil {
		return State{}, err
	}
	var st State
	for _, m := range s.masters {
		st.Masters = append(st.Masters, m.addr)
		st.Versions = append(st.Versions, m.node.Info["redis_version"])
		st.Keys += m.keys
	}
	return st, nil
}

// await is connect, tried again for so long.
func (s *set) await(ctx context.Context, patience time.Duration) error {
	for began := time.Now(); ; {
		err := s.connect(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return errInterrupted
		case time.Since(began) > patience:
			return err
		}
		if err := waitABit(ctx); err != nil {
			return err
		}
	}
}

// Try finds out whether the masters take the payloads of a file, before anything is
// written: one of each RDB version is put under a key that is removed at once.
func Try(ctx context.Context, t survey.Target, samples map[int]Record, patience time.Duration) error {
	s := newSet(t)
	defer s.close()
	for began := time.Now(); ; {
		err := s.await(ctx, patience)
		for _, rec := range samples {
			if err == nil {
				err = s.takes(ctx, rec)
			}
		}
		if final, ok := errors.AsType[*refusal](err); err == nil || ok {
			if ok {
				return final
			}
			return nil
		}
		if ctx.Err() != nil {
			return errInterrupted
		}
		if time.Since(began) > patience {
			return err
		}
		s.close()
		if err := waitABit(ctx); err != nil {
			return err
		}
	}
}

// Newer says which sections of a file come from a newer server than one of the target;
// "": none.
func (st State) Newer(sections []Section) string {
	for _, from := range sections {
		for i, to := range st.Versions {
			if release(from.RedisVersion) > release(to) {
				return fmt.Sprintf("the source has version %s, and %s has %s", from.RedisVersion, st.Masters[i], to)
			}
		}
	}
	return ""
}

// release orders versions by their first two numbers.
func release(version string) int {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, _ := strconv.Atoi(major)
	b, _ := strconv.Atoi(minor)
	return a*1000 + b
}

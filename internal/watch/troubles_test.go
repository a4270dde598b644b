package watch

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
)

func TestWhatMostSentinelsFailAtIsTheReason(t *testing.T) {
	login := &remote.Error{Kind: remote.Auth, Op: "log in", Err: errors.New("WRONGPASS")}
	for _, tt := range []struct {
		name string
		errs []error
		want error // nil: none is blamed
	}{
		{"all well", []error{nil, nil, nil}, nil},
		{"one of three", []error{login, nil, nil}, nil},
		{"two of three", []error{nil, login, login}, login},
		{"two kinds", []error{io.EOF, login, login}, login},
		{"the name", []error{ErrUnknownMaster, ErrUnknownMaster, io.EOF}, ErrUnknownMaster},
		{"half", []error{login, login, nil, nil}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := idle(t)
			d.now.Sentinels = nil
			for i, err := range tt.errs {
				d.now.Sentinels = append(d.now.Sentinels, addr(i+1))
				d.troubles.asked(addr(i+1), err)
			}
			err := d.reason()
			e, blamed := errors.AsType[*SentinelError](err)
			if !errors.Is(err, ErrNoMaster) || blamed != (tt.want != nil) || blamed && !errors.Is(e, tt.want) {
				t.Errorf("reason %v, want %v", err, tt.want)
			}
			d.troubles.asked(addr(2), nil)
			d.troubles.asked(addr(3), nil)
			if _, blamed := errors.AsType[*SentinelError](d.reason()); blamed {
				t.Errorf("still %v", d.reason())
			}
		})
	}
}

// TestTroublesOfSentinelsThatAreGoneAreForgotten, so that they have a bound.
func TestTroublesOfSentinelsThatAreGoneAreForgotten(t *testing.T) {
	var all troubles
	for i := range 100 {
		all.asked(addr(i+1), io.EOF)
		all.heard(addr(i+1), io.EOF)
	}
	if got := all.of([]sentinel.Addr{addr(7)}); len(got) != 1 || got[addr(7)] == nil || len(all.by) != 1 {
		t.Errorf("%v, %d kept", got, len(all.by))
	}
	all.asked(addr(7), nil)
	if got := all.of([]sentinel.Addr{addr(7)}); got[addr(7)] == nil {
		t.Error("it is not told that it cannot be listened to")
	}
	all.heard(addr(7), nil)
	if got := all.of([]sentinel.Addr{addr(7)}); len(got) != 0 || len(all.by) != 0 {
		t.Errorf("%v", got)
	}
}

func TestATroubleIsSortedByWhoHasToRepairIt(t *testing.T) {
	for err, want := range map[error]Blame{
		io.EOF: BlameAway,
		&remote.Error{Kind: remote.Timeout, Op: "x", Err: io.EOF}:                     BlameAway,
		&remote.Error{Kind: remote.Auth, Op: "x", Err: io.EOF}:                        BlameLogin,
		&remote.Error{Kind: remote.NoPerm, Op: "x", Err: io.EOF}:                      BlameRights,
		&remote.Error{Kind: remote.TLS, Op: "x", Err: remote.ErrPlain}:                BlameTLS,
		&remote.Error{Kind: remote.Conn, Op: "x", Err: &net.DNSError{Err: "no such"}}: BlameName,
		fmt.Errorf("%w: %w", ErrNotSentinel, io.EOF):                                  BlameNoSentinel,
		&remote.Error{Kind: remote.Other, Op: "log in", Err: remote.ErrNotSentinel}:   BlameNoSentinel,
		&remote.Error{Kind: remote.Other, Op: "x", Err: remote.ErrNotRedis}:           BlameNoSentinel,
		ErrUnknownMaster: BlameMaster,
	} {
		if got := BlameFor(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
}

// TestEveryFenceHasAReasonOfItsOwn, and no two are alike.
func TestEveryFenceHasAReasonOfItsOwn(t *testing.T) {
	d := idle(t)
	d.now.Master, d.now.Stage = addr(1), sentinel.Fenced
	seen := map[error]bool{}
	for trouble := sentinel.TroubleFailover; trouble <= sentinel.TroubleReturning; trouble++ {
		d.now.Trouble = trouble
		err := d.reason()
		if err == nil || seen[err] {
			t.Errorf("trouble %d: %v", trouble, err)
		}
		seen[err] = true
	}
}

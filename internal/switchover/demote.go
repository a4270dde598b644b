package switchover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/evercache/evercache/internal/survey"
)

// demote makes the old master follow the new one before it takes writes again. Then those that wait get READONLY, and
// all callers are disconnected, so that they look for the new master.
func (r *run) demote(ctx context.Context, old *server, next string) error {
	within, cancel := context.WithDeadline(ctx, r.paused.Add(pauseMost))
	defer cancel()
	var refusing time.Time // since when nobody listens there
	for {
		err := old.follow(within, next)
		if err == nil {
			break
		}
		switch {
		case !refuses(err):
			refusing = time.Time{}
		case refusing.IsZero():
			refusing = time.Now()
		case time.Since(refusing) > goneAfter:
			r.gone, r.undemoted = true, true
			return fmt.Errorf("%s has ended, and takes no writes: start it again. The sentinels tell it to follow about ten seconds after that, and what it takes until then is lost", old.addr)
		}
		if within.Err() != nil || pause(within, 50*time.Millisecond) != nil {
			r.undemoted = true
			return fmt.Errorf("%s could not be told to follow it (%w): what it takes until it follows is lost", old.addr, err)
		}
		r.renew(within, old)
	}
	r.step("%s follows %s and takes no writes", old.addr, next)
	r.unpause(ctx, old)
	r.disconnect(ctx, old)
	return nil
}

// goneAfter is how long nobody listens at the address of a server that has ended.
const goneAfter = time.Second

// refuses reports whether nobody listens there.
func refuses(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || strings.Contains(err.Error(), "connection refused")
}

// follow makes a master a replica.
func (s *server) follow(ctx context.Context, next string) error {
	host, port, err := net.SplitHostPort(next)
	if err != nil {
		return err
	}
	if _, err := s.do(ctx, "REPLICAOF", host, port); err != nil {
		return err
	}
	if is, err := s.isMaster(ctx); err != nil || is {
		return cmp.Or(err, errors.New("it says that it is a master still"))
	}
	return nil
}

func (r *run) disconnect(ctx context.Context, old *server) {
	if _, err := old.do(ctx, "CLIENT", "KILL", "TYPE", "normal"); err != nil {
		r.step("the callers of %s could not be disconnected: %v", old.addr, err)
	}
}

// demoteLate does it as soon as a master that has hung answers again: the sentinels take ten seconds for that.
func (r *run) demoteLate(ctx context.Context, s *survey.Survey) {
	leads, ok := s.Leads()
	n := s.Node(r.plan.From)
	if !r.undemoted || !ok || leads.Addr != r.report.Promoted || n == nil || n.Fault != nil || n.Role.Name != "master" {
		return
	}
	old := node(r.Target, *n)
	defer old.close()
	if err := old.follow(ctx, r.report.Promoted); err != nil {
		return // it is tried again
	}
	r.undemoted = false
	r.step("%s answers again, and follows %s", old.addr, r.report.Promoted)
	r.disconnect(ctx, old)
}

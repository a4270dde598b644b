package doctor

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/survey"
)

// Modes are the modes that a change can be planned to, by name.
var Modes = map[string]health.Mode{
	"standalone": health.ModeStandalone, "sentinel": health.ModeSentinel, "cluster": health.ModeCluster,
}

// Request says what to look at.
type Request struct {
	Environ []string
	Timeout time.Duration // see survey.Target
	Plan    string        // a name of Modes; "": no change is planned
}

// Run looks at the settings and, where they can be used, at the servers.
func Run(ctx context.Context, r Request) Report {
	environ := r.Environ
	if r.Plan != "" {
		environ = Before(environ, Modes[r.Plan])
	}
	cfg, err := config.FromEnv(environ)
	if err != nil {
		return NewReport(nil, OfFaults(faultsOf(err)))
	}
	if r.Plan != "" {
		return runPlan(ctx, cfg, r)
	}
	s := look(ctx, cfg, r.Timeout)
	return NewReport(s, Examine(Input{Survey: s, Settings: settingsOf(cfg)}))
}

// Look is what one look at the servers of a configuration has seen, and what is wrong there. It is for who is about
// to do something to them.
func Look(ctx context.Context, cfg config.Config, timeout time.Duration) (*survey.Survey, []Finding) {
	s := look(ctx, cfg, timeout)
	return s, Examine(Input{Survey: s, Settings: settingsOf(cfg)})
}

// runPlan looks at what is used now and at what would be.
func runPlan(ctx context.Context, cfg config.Config, r Request) Report {
	to := Modes[r.Plan]
	m := Move{
		To: to, Change: ChangeTo(r.Environ, to),
		Denylist: denylistUsed(cfg), Journal: cfg.Redis.JournalDir != "", ReplicaReads: cfg.Redis.ReplicaReads,
	}
	then, err := config.FromEnv(m.Change.Environ)
	if err != nil {
		m.Faults = faultsOf(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { m.Now = look(ctx, cfg, r.Timeout) })
	if err == nil && len(m.Change.Faults) == 0 {
		wg.Go(func() { m.Then = look(ctx, then, r.Timeout) })
	}
	wg.Wait()
	return NewReport(m.Now, Plan(m, settingsOf(then))).Beside(r.Plan, m.Then)
}

func look(ctx context.Context, cfg config.Config, timeout time.Duration) *survey.Survey {
	t := survey.TargetOf(cfg.Redis)
	t.Timeout, t.Thorough = timeout, true
	return survey.Take(ctx, t)
}

// faultsOf are the faults of an environment, also where the error is of another kind.
func faultsOf(err error) config.Faults {
	if faults, ok := errors.AsType[config.Faults](err); ok {
		return faults
	}
	return config.Faults{{Name: "the environment", Problem: err.Error()}}
}

// settingsOf is what the rules look at of a configuration.
func settingsOf(cfg config.Config) Settings {
	o := cfg.Redis
	s := Settings{
		Findings: o.Findings, Optional: o.RedisOptional,
		DialTimeout: cmp.Or(o.DialTimeout, 300*time.Millisecond), ReadTimeout: cmp.Or(o.ReadTimeout, 100*time.Millisecond),
		Denylist: denylistUsed(cfg),
		Password: o.Password != "" || o.PasswordFile != "", TLS: o.TLS != nil,
		ReplicaReads: o.ReplicaReads, AddressMap: o.AddressMap,
	}
	if o.TLS != nil && len(o.TLS.Certificates) > 0 && o.TLS.Certificates[0].Leaf != nil {
		s.CertificateEnds = o.TLS.Certificates[0].Leaf.NotAfter
	}
	return s
}

func denylistUsed(cfg config.Config) bool {
	return cfg.Server.Revocations == config.RevocationsOn || cfg.Server.Revocations == config.RevocationsRequired
}

package doctor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/survey"
)

// one is the first finding of a code; its code is "" where there is none.
func one(in Input, code string) Finding {
	fs := Examine(in)
	if i := slices.IndexFunc(fs, func(f Finding) bool { return f.Code == code }); i >= 0 {
		return fs[i]
	}
	return Finding{}
}

func TestAMasterThatAQuorumHoldsDownIsAnError(t *testing.T) {
	t.Parallel()
	held := func(n int, change func(*survey.Survey)) Input {
		return in(wellSet(), func(s *survey.Survey) {
			for i := range n {
				s.Sentinels[i].Master["flags"] = "s_down,master"
			}
			change(s)
		})
	}
	nothing := func(*survey.Survey) {}
	for _, tt := range []struct {
		name string
		in   Input
		want health.Severity
	}{
		{"none", held(0, nothing), ""},
		{"one of three", held(1, nothing), health.SeverityWarning},
		{"two of three", held(2, nothing), health.SeverityError},
		{"a server that has just started", held(2, func(s *survey.Survey) { s.Nodes[0].Info["uptime_in_seconds"] = "3" }), ""},
		{"a failover is under way", held(2, func(s *survey.Survey) { s.Sentinels[0].Master["flags"] = "s_down,master,failover_in_progress" }), ""},
		{"a replica", in(wellSet(), func(s *survey.Survey) {
			for i := range s.Sentinels {
				s.Sentinels[i].Replicas[0]["flags"] = "s_down,slave"
			}
		}), health.SeverityWarning},
	} {
		if got := one(tt.in, "sentinel-holds-down").Severity; got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// Right after a failover the old master is a master for some seconds more, and nobody is to blame.
func TestAnOldMasterIsNotCalledARival(t *testing.T) {
	t.Parallel()
	rival := func(change func(*survey.Survey)) Finding {
		return one(in(wellSet(), func(s *survey.Survey) {
			s.Nodes[2].Role = survey.Role{Name: "master"}
			change(s)
		}), health.CodeSentinelTwoMasters)
	}
	switched := func(ago time.Duration) func(*survey.Survey) {
		return func(s *survey.Survey) {
			s.Sentinels[1].Master["role-reported-time"] = fmt.Sprint(ago.Milliseconds())
		}
	}
	started := func(s *survey.Survey) {
		s.Nodes[0].Info["uptime_in_seconds"], s.Nodes[2].Info["uptime_in_seconds"] = "4000", "4"
	}
	together := func(s *survey.Survey) {
		s.Nodes[0].Info["uptime_in_seconds"], s.Nodes[2].Info["uptime_in_seconds"] = "5", "4"
	}
	unlisted := func(s *survey.Survey) {
		started(s)
		for i := range s.Sentinels {
			s.Sentinels[i].Replicas = s.Sentinels[i].Replicas[:1]
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*survey.Survey)
		want   health.Severity
		fix    string
	}{
		{"by hand", func(*survey.Survey) {}, health.SeverityError, "REPLICAOF NO ONE"},
		{"five seconds after a failover", switched(5 * time.Second), health.SeverityWarning, "Wait:"},
		{"a minute after it", switched(time.Minute), health.SeverityError, "REPLICAOF NO ONE"},
		{"it has just started", started, health.SeverityWarning, "Wait:"},
		{"all have just started", together, health.SeverityError, "REPLICAOF NO ONE"},
		{"it has, and no sentinel knows it", unlisted, health.SeverityError, "REPLICAOF NO ONE"},
	} {
		if f := rival(tt.change); f.Severity != tt.want || !strings.Contains(f.Fix, tt.fix) {
			t.Errorf("%s: %s, fix %q", tt.name, f.Severity, f.Fix)
		}
	}
}

func TestRefusedWritesAreAnError(t *testing.T) {
	t.Parallel()
	lag := ofMaster(func(n *survey.Node) { n.Info["min_slaves_good_slaves"] = "0" })
	if f := one(lag, health.CodeRedisNoReplicas); f.Severity != health.SeverityError || !strings.Contains(f.Detail, "min_slaves_good_slaves:0") {
		t.Errorf("both replicas lag: %+v", f)
	}
	if f := one(ofMaster(func(n *survey.Node) { n.Info["min_slaves_good_slaves"] = "1" }), health.CodeRedisNoReplicas); f.Code != "" {
		t.Errorf("one of two lags, and one is enough: %+v", f)
	}
	full := func(used string) Input {
		return ofMaster(func(n *survey.Node) { n.Info["maxmemory"], n.Info["used_memory"] = "1000000", used })
	}
	for used, want := range map[string]health.Severity{"500000": "", "950000": health.SeverityWarning, "1000000": health.SeverityError, "1600000": health.SeverityError} {
		if got := one(full(used), "redis-memory-full").Severity; got != want {
			t.Errorf("%s of 1000000 used: %q, want %q", used, got, want)
		}
	}
}

// A replica that is never promoted may be anything: nobody will write to it.
func TestOnlyWhoMayBecomeMasterMustBeLikeIt(t *testing.T) {
	t.Parallel()
	differ := func(change func(master, replica survey.Fields)) Finding {
		return one(in(wellSet(), func(s *survey.Survey) { change(s.Nodes[0].Config, s.Nodes[2].Config) }), "redis-settings-differ")
	}
	if f := differ(func(_, r survey.Fields) { r["appendonly"], r["replica-priority"] = "no", "0" }); f.Code != "" {
		t.Errorf("a replica with priority 0: %+v", f)
	}
	if f := differ(func(_, r survey.Fields) { r["appendonly"] = "no" }); f.Code == "" {
		t.Error("a replica that may be promoted keeps nothing, and it is not reported")
	}
	saves := in(wellSet(), func(s *survey.Survey) {
		for i, save := range []string{"3600 1", "900 1", ""} {
			s.Nodes[i].Config["appendonly"], s.Nodes[i].Config["save"] = "no", save
		}
	})
	if f := one(saves, "redis-settings-differ"); !strings.Contains(f.Detail, `CONFIG GET save: "set" at `+nodeAddr(1)+", "+nodeAddr(2)+`; "" at `+nodeAddr(3)) {
		t.Errorf("only some have a save: %+v", f)
	}
}

// Sentinels that lie, or a large Cluster, must not bury what else is wrong.
func TestALongListIsCutAndSaysSo(t *testing.T) {
	t.Parallel()
	in := in(wellSet(), func(s *survey.Survey) {
		for n := range 64 {
			s.Sentinels[0].Peers = append(s.Sentinels[0].Peers, survey.Fields{"ip": fmt.Sprintf("10.8.0.%d bad", n), "port": "26379"})
		}
	})
	count, last := 0, Finding{}
	for _, f := range Examine(in) {
		switch f.Code {
		case "sentinel-ghost":
			count, last = count+1, f
		case "sentinel-few":
			t.Errorf("so many ghosts are taken for the sentinels: %+v", f)
		}
	}
	if count != mostSeen+1 || last.Detail != "the same at 48 more" || last.Subject != "" {
		t.Errorf("%d findings, the last: %+v", count, last)
	}
	if n := (Check{Severity: health.SeverityWarning}).most(append(make([]seen, 40), seen{severity: health.SeverityError}))[0].severity; n != health.SeverityError {
		t.Errorf("the worst is not among those that are kept: %q", n)
	}
}

func TestTheFixOfAHandshakeFitsItsError(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		reason     findings.Reason
		text, want string
	}{
		{findings.Handshake, "TLS handshake: tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-30T21:02:34Z is after 2026-11-21T21:02:32Z", "Renew the certificate of the server"},
		{findings.SentinelTLS, "TLS handshake: tls: failed to verify certificate: x509: certificate signed by unknown authority", "REDIS_TLS_CA_FILE"},
		{findings.ClusterTLS, "TLS handshake: tls: failed to verify certificate: x509: certificate is valid for localhost, not other.example", "subjectAltName"},
		{findings.Handshake, "tls: failed to verify certificate: x509: cannot validate certificate for 10.0.0.1 because it doesn't contain any IP SANs", "subjectAltName"},
		{findings.Handshake, "log in: remote error: tls: certificate required", "REDIS_TLS_KEY_FILE"},
		{findings.Handshake, "log in: remote error: tls: expired certificate", "Renew the certificate in REDIS_TLS_CERT_FILE"},
		{findings.Handshake, "EOF", ""},
		{findings.Login, "certificate has expired or is not yet valid", ""},
	} {
		if got := tlsFix(tt.reason, tt.text); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
	f := one(in(wellServer(), func(s *survey.Survey) {
		broken(&s.Nodes[0].Server, findings.Handshake)
		s.Nodes[0].Fault.Text = "x509: certificate signed by unknown authority"
	}), health.CodeRedisTLS)
	if !strings.Contains(f.Fix, "REDIS_TLS_CA_FILE hold") {
		t.Errorf("the finding says %q", f.Fix)
	}
}

func TestSupportEndsWithADay(t *testing.T) {
	t.Parallel()
	day := func(text string) time.Time {
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	redis := func(v string) survey.Fields { return survey.Fields{"redis_version": v} }
	valkey := func(v string) survey.Fields {
		return survey.Fields{"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": v}
	}
	for _, tt := range []struct {
		info survey.Fields
		at   string
		want bool
	}{
		{redis("7.0.15"), "2026-11-30", true},
		{redis("7.0.15"), "2024-07-29", false},
		{redis("7.0.15"), "2024-07-30", true},
		{redis("6.2.21"), "2026-11-30", false},
		{redis("7.2.13"), "2026-11-30", false},
		{redis("9.9.9"), "2026-11-30", false},
		{redis("3.2.1"), "2026-11-30", true},
		{redis("10.0.1"), "2026-11-30", false},
		{redis("255.255.255"), "2026-11-30", false},
		{valkey("8.0.6"), "2026-11-30", false},
		{valkey("8.0.6"), "2027-09-16", true},
		{valkey("9.1.0"), "2030-01-01", false},
		{redis(""), "2026-11-30", false},
		{redis("7"), "2026-11-30", false},
		{redis(".."), "2026-11-30", false},
		{nil, "2026-11-30", false},
	} {
		if got := outOfSupport(survey.Server{Info: tt.info}, day(tt.at)); (got != "") != tt.want {
			t.Errorf("%v at %s: %q", tt.info, tt.at, got)
		}
	}
	for series, end := range supportEnds {
		day(end)
		if name, number, ok := strings.Cut(series, " "); !ok || name == "" || strings.Count(number, ".") != 1 {
			t.Errorf("%q is no series", series)
		}
	}
}

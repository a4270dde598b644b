package config

import (
	"slices"
	"strings"
	"testing"
)

// checkOutcome holds whatever an environment leads to to what callers rely on.
func checkOutcome(t *testing.T, cfg Config, err error) {
	t.Helper()
	if err != nil {
		faults, ok := err.(Faults)
		if !ok || len(faults) == 0 || strings.Count(err.Error(), "\n") != len(faults)-1 {
			t.Fatalf("not a list of faults, one a line: %q", err)
		}
		for _, f := range faults {
			if position(f.Name) < 0 || f.Problem == "" || f.Fix == "" || len(f.String()) > 1000 {
				t.Fatalf("fault without a name, a problem or a remedy: %+v", f)
			}
		}
	}
	all := codes(cfg)
	slices.Sort(all)
	if len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Fatalf("a code is found twice: %v", all)
	}
	for _, f := range cfg.Redis.Findings {
		if f.Severity == "" || f.Title == "" || f.Detail == "" || f.Fix == "" || strings.Contains(f.Detail, "\n") {
			t.Fatalf("half a finding: %+v", f)
		}
	}
}

func FuzzFromEnv(f *testing.F) {
	for _, s := range settings {
		f.Add(s.name+"="+s.example, s.name+"_FILE=/file", "REDIS_STRICT=yes")
		f.Add(s.name+"="+canary, s.name+"="+s.def, s.name+"=[::1]:x,@://")
	}
	f.Add(sentinelOn, masterIs, three)
	f.Add(sentinelOn, masterIs, "REDIS_SENTINELS=a:1,b:2")
	f.Add("REDIS_URL=redis://u:"+canary+"#@h:1/2?x", "REDIS_TLS=true", "REDIS_TLS_CA_FILE=/pem")
	f.Add("REDIS_PORT=tcp://1.2.3.4:5", "REDIS_SERVICE_HOST=x", "EVERCACHE_LISTEN=:0")
	known := memory{"/file": canary + "\n", "/pem": "-----BEGIN CERTIFICATE-----\n" + canary + "\n-----END CERTIFICATE-----\n"}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		if strings.Contains(strings.SplitN(a, "=", 2)[0]+strings.SplitN(b, "=", 2)[0]+strings.SplitN(c, "=", 2)[0], canary) {
			t.Skip("the name of a variable is no secret")
		}
		environ := []string{"REDIS_PASSWORD=" + canary, "REDIS_SENTINEL_PASSWORD=" + canary, "EVERCACHE_TOKEN=" + canary, a, b, c}
		cfg, err := read(environ, known)
		checkOutcome(t, cfg, err)
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Fatalf("a secret is in the error: %v", err)
		}
		for _, f := range cfg.Redis.Findings {
			if strings.Contains(f.Detail+f.Fix, canary) {
				t.Fatalf("a secret is in a finding: %+v", f)
			}
		}
	})
}

func FuzzURL(f *testing.F) {
	for _, seed := range [][2]string{
		{"redis://u:", "@h:6379/0"},
		{"rediss://:", "@[::1]"},
		{"redis://u:a#", "@h"},
		{"redis://u:1/", "@h"},
		{"redis://h/", ""},
		{"", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		cfg, err := read([]string{"REDIS_URL=" + before + canary + after}, memory{})
		checkOutcome(t, cfg, err)
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Fatalf("a piece of the URL is in the error: %v", err)
		}
		if strings.Contains(cfg.Redis.Password.Reveal(), canary) && strings.Contains(printed(cfg), canary) {
			t.Fatal("the password is printed")
		}
	})
}

func FuzzParsers(f *testing.F) {
	for _, s := range settings {
		f.Add(s.example)
		f.Add(s.def)
	}
	f.Add("[::1]:26379,::1:1,a:b:c,=,a:1=b:2")
	f.Add("9223372036854775807g")
	f.Fuzz(func(t *testing.T, v string) {
		if v = strings.TrimSpace(v); v == "" {
			return // not set
		}
		for _, s := range settings {
			for _, p := range s.parse(&draft{}, v) {
				if p.what == "" || p.fix == "" || len(p.what)+len(p.fix) > 500 {
					t.Fatalf("%s: %+v", s.name, p)
				}
			}
		}
		if addr, bad := endpoint(v, fixNode); bad == nil {
			if again, bad := endpoint(addr, fixNode); bad != nil || again != addr {
				t.Fatalf("endpoint(%q) = %q, which reads as %q, %v", v, addr, again, bad)
			}
		}
		if addr, bad := listen(v); bad == nil {
			if again, bad := listen(addr); bad != nil || again != addr {
				t.Fatalf("listen(%q) = %q, which reads as %q, %v", v, addr, again, bad)
			}
		}
		if n, bad := size(1, 1<<40)(v); bad == nil && (n < 1 || n > 1<<40) {
			t.Fatalf("size(%q) = %d", v, n)
		}
	})
}

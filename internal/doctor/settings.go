package doctor

import (
	"cmp"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/health"
)

// settingsWhy says why the findings of settings matter, by their codes. What each one is
// package config says.
var settingsWhy = map[string]string{
	"config-sentinel-fallback":    "The one server may be a replica after the next failover. Then nothing can be written.",
	"config-replica-reads-off":    "All reads go to one server.",
	"config-sentinel-not-enabled": "A failover is not followed.",
	"config-sentinel-even":        "One sentinel more is paid for, and no more of them may fail.",
	"config-sentinel-port":        "A Redis server that holds data does not answer as a sentinel.",
	"config-redis-port":           "A sentinel stores no keys.",
	"config-several-modes":        "Whoever reads the settings may take another server for the one that is used.",
	"config-setting-unused":       "Whoever reads the settings believes that it is in force.",
	"config-tls-off":              "Passwords and values travel in plain text.",
	"config-memory":               "The kernel may end the process when its memory is used up.",
	"config-listener-open":        "Everybody in the network can read, change and delete what is cached.",
	"config-secret-file-mode":     "Every user of this machine can log in with it.",
	"config-unknown-name":         "A misspelt setting is not in force.",
	"config-kubernetes-names":     "They look like settings, and are none.",
}

// settingsFindings are those of the environment.
func settingsFindings(all []health.Finding) []Finding {
	var out []Finding
	for _, f := range all {
		out = append(out, Finding{Finding: f, Why: settingsWhy[f.Code]})
	}
	return out
}

// CodeSettings is the code of a fault of the environment that stops the start.
const CodeSettings = "config-fault"

// OfFaults are the findings about an environment that cannot be used.
func OfFaults(faults config.Faults) []Finding {
	var out []Finding
	for _, f := range faults {
		out = append(out, Finding{
			Subject: f.Name,
			Finding: health.Finding{
				Code: CodeSettings, Severity: health.SeverityError, Title: "A setting is wrong",
				Detail: f.Problem, Fix: cmp.Or(f.Fix, "see docs/configuration.md"),
			},
			Why: "evercache does not start with it.",
		})
	}
	return out
}

package findings

import (
	"fmt"
	"time"

	"github.com/evercache/evercache/health"
)

// KeyFiles are TLS files that are read again at every connection.
type KeyFiles struct {
	Whose   string // "for Redis", "for the sentinels"
	Fault   error  // why they cannot be used
	Expires time.Time
}

// expiresSoon is how long before its end a certificate is reported.
const expiresSoon = 7 * 24 * time.Hour

// keyFiles reports files that cannot be used, and certificates that end.
func keyFiles(all []KeyFiles, now time.Time) (fs []health.Finding) {
	for _, k := range all {
		if k.Fault != nil {
			fs = append(fs, health.Finding{
				Code: health.CodeRedisTLSFiles, Severity: health.SeverityWarning,
				Title:  "A TLS file cannot be used",
				Detail: fmt.Sprintf("%s: %v; the last usable files stay in use", k.Whose, k.Fault),
				Fix:    "Write complete files that belong together. They are read again at every connection, and every 10 s.",
			})
		}
		if !k.Expires.IsZero() && k.Expires.Sub(now) < expiresSoon {
			fs = append(fs, expiring(k.Whose, k.Expires, now))
		}
	}
	return fs
}

func expiring(whose string, at, now time.Time) health.Finding {
	f := health.Finding{
		Code: health.CodeRedisTLSExpiring, Severity: health.SeverityWarning,
		Title:  "The TLS client certificate expires soon",
		Detail: fmt.Sprintf("the certificate %s expires at %s", whose, at.UTC().Format(time.RFC3339)),
		Fix:    "Renew it in the same files: no restart is needed.",
	}
	if at.Before(now) {
		f.Severity, f.Title = health.SeverityError, "The TLS client certificate has expired"
	}
	return f
}

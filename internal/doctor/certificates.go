package doctor

import (
	"fmt"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/survey"
)

const (
	// endsSoon is how long before its end a server's certificate is reported, oursSoon a
	// client's.
	endsSoon = 14 * 24 * time.Hour
	oursSoon = 7 * 24 * time.Hour
)

var certificateChecks = []Check{
	{
		Code: "redis-server-certificate", Severity: health.SeverityWarning, Title: "The certificate of a server ends soon",
		Why:  "From that moment no new connection is made.",
		Fix:  "Renew it, and load it: redis-cli CONFIG SET tls-cert-file FILE tls-key-file FILE.",
		When: "it ends within 14 days",
		find: func(v *view) (all []seen) {
			soon := func(s survey.Server) {
				if left := s.Certificate.Sub(v.Survey.At); !s.Certificate.IsZero() && left < endsSoon {
					all = append(all, seen{subject: s.Addr, detail: fmt.Sprintf("it ends at %s, in %d days", s.Certificate.UTC().Format(time.RFC3339), int(left.Hours()/24))})
				}
			}
			for _, s := range v.Survey.Sentinels {
				soon(s.Server)
			}
			for _, n := range v.Survey.Nodes {
				soon(n.Server)
			}
			return all
		},
	},
	{
		Code: health.CodeRedisTLSExpiring, Severity: health.SeverityWarning, Title: "Our TLS certificate is over, or soon",
		Why:  "A server that asks for one refuses every connection from then on.",
		Fix:  "Renew it in the files of REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE. They are read again at every connection.",
		When: "the client's certificate ends within 7 days, or has ended",
		find: func(v *view) []seen {
			ends := v.Settings.CertificateEnds
			if ends.IsZero() || ends.Sub(v.Survey.At) >= oursSoon {
				return nil
			}
			return []seen{{subject: "REDIS_TLS_CERT_FILE", detail: "it ends at " + ends.UTC().Format(time.RFC3339)}}
		},
	},
}

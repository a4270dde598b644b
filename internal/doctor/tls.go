package doctor

import (
	"strings"

	"github.com/evercache/evercache/internal/findings"
)

// tlsFixes are the remedies for what a handshake fails at, by what the error says. The first that fits counts.
// "remote error" is the word of the other side: it speaks of our certificate.
var tlsFixes = []struct{ says, fix string }{
	{
		"remote error: tls: certificate required",
		"The server wants a certificate of its clients (tls-auth-clients yes): set REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE.",
	},
	{
		"remote error: tls: expired certificate",
		"Renew the certificate in REDIS_TLS_CERT_FILE: the server says that it is over.",
	},
	{
		"remote error: tls: unknown certificate authority",
		"The server does not know who has signed the certificate in REDIS_TLS_CERT_FILE: its tls-ca-cert-file must hold that CA.",
	},
	{
		"certificate has expired or is not yet valid",
		"Renew the certificate of the server, and load it there: redis-cli CONFIG SET tls-cert-file FILE tls-key-file FILE (a sentinel: restart it). If the certificate is not over, look at the clock of this machine.",
	},
	{
		"certificate signed by unknown authority",
		"Let REDIS_TLS_CA_FILE hold the CA that has signed the certificate of the server: openssl s_client -connect HOST:PORT -showcerts shows which.",
	},
	{
		"certificate is valid for",
		"Give the server a certificate with this name or address (subjectAltName), or set REDIS_TLS_SERVER_NAME to a name that is in it.",
	},
	{
		"doesn't contain any IP SANs",
		"Give the server a certificate with this address (subjectAltName = IP:…), or set REDIS_TLS_SERVER_NAME to a name that is in it.",
	},
	{
		"certificate is not valid for any names",
		"Give the server a certificate with its name or address (subjectAltName).",
	},
	{
		"certificate relies on legacy Common Name",
		"Give the server a certificate with its name as subjectAltName: the common name does not count.",
	},
}

// tlsFix is the remedy for a handshake that failed; "": the error does not say enough.
func tlsFix(reason findings.Reason, text string) string {
	switch reason {
	case findings.Handshake, findings.SentinelTLS, findings.ClusterTLS:
	default:
		return ""
	}
	for _, f := range tlsFixes {
		if strings.Contains(text, f.says) {
			return f.fix
		}
	}
	return ""
}

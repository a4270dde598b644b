package redistest

import (
	"crypto/tls"

	"github.com/evercache/evercache/internal/redisproc"
)

// TLSFiles are paths of PEM files for a client; empty without TLS. They go away with the test.
type TLSFiles struct {
	CA        string // what to trust
	Cert, Key string // the client's own
}

func clientConfig(t *redisproc.TLS) *tls.Config {
	if t == nil {
		return nil
	}
	return t.ClientConfig()
}

func clientFiles(t *redisproc.TLS) TLSFiles {
	if t == nil {
		return TLSFiles{}
	}
	return TLSFiles{CA: t.CAFile, Cert: t.ClientCertFile, Key: t.ClientKeyFile}
}

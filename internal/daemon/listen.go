package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/evercache/evercache/internal/suites"
)

// listen opens the listener, with TLS when a certificate is configured, and
// returns the connections below it too.
func (d *Daemon) listen(ctx context.Context) (net.Listener, *bounded, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", d.cfg.Server.Listen)
	if err != nil {
		return nil, nil, fmt.Errorf("EVERCACHE_LISTEN: %w", err)
	}
	b := newBounded(ln, d.connections)
	b.plain = d.cfg.Server.TLSCertFile == ""
	if d.cfg.Server.TLSCertFile == "" {
		return speaking{Listener: b, log: d.log}, b, nil
	}
	cert, err := loadCertificate(d.cfg.Server.TLSCertFile, d.cfg.Server.TLSKeyFile, d.log)
	if err != nil {
		return nil, nil, errors.Join(err, b.Close())
	}
	b.cert = cert
	return speaking{b, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		CipherSuites:   suites.Authenticated(),
		NextProtos:     []string{"http/1.1"}, // the bounds are per connection and request
		GetCertificate: cert.get,
	}, d.log}, b, nil
}

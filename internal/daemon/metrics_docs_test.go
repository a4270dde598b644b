package daemon

import (
	"crypto/tls"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/evercache/evercache/internal/metricsdoc"
)

var update = flag.Bool("update", false, "write the table of docs/metrics.md")

// ofTheServer are the metrics of a whole server, with TLS and an audit log, that package
// evercacheprom does not have. So a registration that is forgotten is seen here as well.
func ofTheServer(t *testing.T) (all []metricsdoc.Metric) {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, certFile, keyFile, 1)
	r := runDaemon(t, "EVERCACHE_TLS_CERT_FILE="+certFile, "EVERCACHE_TLS_KEY_FILE="+keyFile, "EVERCACHE_AUDIT_LOG="+filepath.Join(dir, "audit.log"))
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	resp, err := c.Get("https://" + r.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range metricsdoc.Parse(string(body)) {
		if name := strings.TrimPrefix(m.Name, "evercache_"); slices.ContainsFunc([]string{"http_", "audit_", "tls_server_"}, func(p string) bool { return strings.HasPrefix(name, p) }) {
			all = append(all, m)
		}
	}
	return all
}

func TestTheMetricsOfTheServerAreDocumented(t *testing.T) {
	all := ofTheServer(t)
	if len(all) < 11 {
		t.Fatalf("only %d metrics were found: %v", len(all), all)
	}
	metricsdoc.Keep(t, "../..", "internal/daemon", *update, metricsdoc.Part{Name: "server", Metrics: all})
}

// What /health tells of the server around the client is in /metrics too, and so is the
// end of its certificate.
func TestMetricsHaveTheFindingsOfTheServer(t *testing.T) {
	s := serveAPI(t, append(redisAway(t), "EVERCACHE_CACHE_TLL=1h")...)
	if body := s.do("GET", "/metrics", "").body; !strings.Contains(body, `evercache_finding{code="config-unknown-name",severity="warning"} 1`) {
		t.Errorf("the finding of a setting is missing in:\n%s", body)
	}
}

// The end of the certificate follows a renewal, also where no new connection is made.
func TestTheEndOfTheCertificateIsAMetric(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, certFile, keyFile, 1)
	cert, err := loadCertificate(certFile, keyFile, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	first := cert.expires()
	if left := time.Until(first); left < 59*time.Minute || left > time.Hour {
		t.Errorf("it ends in %v, want an hour", left)
	}
	b := &bounded{cert: cert}
	r := prometheus.NewRegistry()
	r.MustRegister(b.metrics()...)
	want := "# HELP evercache_tls_server_certificate_expiry_timestamp_seconds When the TLS certificate of the server ends, in Unix seconds; absent without TLS.\n" +
		"# TYPE evercache_tls_server_certificate_expiry_timestamp_seconds gauge\n" +
		"evercache_tls_server_certificate_expiry_timestamp_seconds " + strconv.FormatFloat(float64(first.Unix()), 'g', -1, 64) + "\n"
	if err := testutil.GatherAndCompare(r, strings.NewReader(want), "evercache_tls_server_certificate_expiry_timestamp_seconds"); err != nil {
		t.Error(err)
	}
	cert.lookedAt = time.Now().Add(-2 * lookAgain)
	writeCertificate(t, certFile, keyFile, 2)
	if _, err := r.Gather(); err != nil {
		t.Fatal(err)
	}
	if cert.pair.Leaf.NotAfter.Before(first) || cert.pair.Leaf.SerialNumber.Int64() != 2 {
		t.Error("a scrape does not read the renewed file")
	}
}

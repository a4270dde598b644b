package check

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// speakTLS makes the set one of compose.tls.yml, before it is started.
func (s *set) speakTLS() {
	s.t.Helper()
	s.certificates = filepath.Join(s.t.TempDir(), "certificates")
	s.files = append(s.files, "compose.tls.yml")
	if out, err := shell(s.t, s.certify(), certificates); err != nil {
		s.t.Fatalf("certificates.sh: %s %v", out, err)
	}
	for i := range s.redis {
		s.redis[i].environ = append(s.redis[i].environ, "TLS_DIR="+filepath.Join(s.certificates, fmt.Sprintf("redis-%d", i+1)))
		s.sentinels[i].environ = append(s.sentinels[i].environ, "TLS_DIR="+filepath.Join(s.certificates, fmt.Sprintf("sentinel-%d", i+1)))
	}
}

const certificates = compose + "/certificates.sh"

func (s *set) certify() []string { return []string{"CERTIFICATES_DIR=" + s.certificates} }

// authorities are those that a folder's ca.crt names.
func authorities(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(read(t, file))) {
		t.Fatalf("%s holds no certificate", file)
	}
	return pool
}

// trusting is a client that reads the authorities at each connection.
func trusting(t *testing.T, file string) *http.Client {
	transport := &http.Transport{DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(data)
		return (&tls.Dialer{Config: &tls.Config{RootCAs: pool}}).DialContext(ctx, network, addr)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// shown is the certificate with which a new connection to a port is answered.
func shown(addr string, roots *x509.CertPool) (*x509.Certificate, error) {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 2 * time.Second}, Config: &tls.Config{RootCAs: roots}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// engine stands in for docker compose: certificates.sh calls it, and this test does
// to its processes what Compose would do to the containers.
type engine struct {
	set   *set
	asked []string
}

func (s *set) named(name string) *node {
	for i := range s.redis {
		switch name {
		case fmt.Sprintf("redis-%d", i+1):
			return s.redis[i]
		case fmt.Sprintf("sentinel-%d", i+1):
			return s.sentinels[i]
		}
	}
	return nil
}

func (e *engine) do(words []string) (string, error) {
	e.asked = append(e.asked, strings.Join(words, " "))
	switch n := e.set.named(words[len(words)-1]); {
	case slices.Equal(words, []string{"compose", "ps", "--services", "--status", "running"}):
		return "evercache\nredis-1\nredis-2\nredis-3\nsentinel-1\nsentinel-2\nsentinel-3\n", nil
	case len(words) == 3 && words[1] == "restart" && n != nil:
		n.end(e.set.t)
		n.start()
		return "", nil
	case len(words) >= 6 && words[1] == "exec" && words[4] == "sh":
		name, found := strings.CutPrefix(words[5], "/set/")
		if n := e.set.named(words[3]); found && n != nil {
			return n.script(name, words[6:]...)
		}
	}
	return "", fmt.Errorf("docker %q: this is not known here", words)
}

// renew runs certificates.sh while the set runs.
func (e *engine) renew(how string) error {
	t := e.set.t
	t.Helper()
	type call struct {
		words []string
		reply chan error
		out   string
	}
	calls, bin := make(chan *call), t.TempDir()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body) // a call that was cut is not known below
		c := &call{words: strings.Fields(string(text)), reply: make(chan error)}
		calls <- c
		if err := <-c.reply; err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, c.out) // the script fails without it
	}))
	defer server.Close()
	docker := "#!/bin/sh\nexec curl -s --fail-with-body --data \"$*\" " + server.URL + "\n"
	if err := os.WriteFile(filepath.Join(bin, "docker"), []byte(docker), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, certificates, how)
	cmd.Env = append(e.set.certify(), "PATH="+bin+":"+os.Getenv("PATH"))
	done := make(chan error, 1)
	go func() { // ends with the script
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		done <- err
	}()
	for {
		select {
		case c := <-calls:
			var err error
			c.out, err = e.do(c.words)
			c.reply <- err
		case err := <-done:
			return err
		}
	}
}

// awaitRenewed waits until everybody shows another certificate than before.
func (s *set) awaitRenewed(d *daemon, before map[string]string) map[string]string {
	s.t.Helper()
	now := map[string]string{}
	addrs := []string{strings.TrimPrefix(d.url, "https://")}
	for _, n := range s.nodes() {
		addrs = append(addrs, n.addr())
	}
	for _, addr := range addrs {
		eventually(s.t, 20*time.Second, addr+" shows a new certificate", func() error {
			c, err := shown(addr, authorities(s.t, filepath.Join(s.certificates, "ca.crt")))
			if err != nil {
				return err
			}
			if now[addr] = c.SerialNumber.String(); now[addr] == before[addr] {
				return errors.New("it is the old one")
			}
			return nil
		})
	}
	return now
}

// The set of compose.tls.yml: everybody speaks TLS, it fails over, and certificates
// and authority are renewed under writes of which none fails.
func TestTheSetWithTLSFailsOverAndIsRenewed(t *testing.T) {
	t.Parallel()
	s := newSet(t, nil)
	s.speakTLS()
	s.start()
	d := serve(t, s.environment())
	d.awaitUp(s.master())
	before := s.awaitRenewed(d, nil)
	first := authorities(t, filepath.Join(s.certificates, "ca.crt"))
	for _, n := range s.nodes() {
		if answer := plainAnswer(t, n.addr()); strings.Contains(answer, "PONG") || strings.Contains(answer, "NOAUTH") {
			t.Errorf("%s answers plain text: %q", n.addr(), answer)
		}
	}

	w := d.write("demo")
	pids := pidsOf(s.redis)
	e := &engine{set: s}
	if err := e.renew("renew-authority"); err != nil {
		t.Fatal(err)
	}
	s.awaitRenewed(d, before)
	if _, err := shown(s.redis[0].addr(), first); err == nil {
		t.Error("who trusts the old authority only still takes the new certificate")
	}
	if err := e.renew("forget-authority"); err != nil {
		t.Fatal(err)
	}
	if now := pidsOf(s.redis); !slices.Equal(now, pids) {
		t.Errorf("Redis nodes were started again: %v, then %v", pids, now)
	}
	if n := strings.Count(strings.Join(e.asked, "\n"), "restart sentinel-"); n != 9 {
		t.Errorf("%d restarts of sentinels, want each once for each of 3 steps: %q", n, e.asked)
	}

	crashed := s.master()
	crashed.kill()
	now := s.awaitMaster(crashed)
	crashed.start()
	crashed.awaitHealthy()
	now = s.awaitMaster(nil)
	d.awaitUp(now)
	w.end()
	if lost := w.missing(now, s.prefix, "demo"); len(lost) > 0 {
		t.Errorf("%d of %d acknowledged writes are not on the master, the first: %s", len(lost), len(w.acked), lost[0])
	}
	for _, r := range s.refusals() {
		t.Errorf("somebody was refused something: %s", r)
	}
}

func pidsOf(nodes []*node) (all []int) {
	for _, n := range nodes {
		all = append(all, n.cmd.Process.Pid)
	}
	return all
}

// plainAnswer asks for PING without TLS and returns what comes.
func plainAnswer(t *testing.T, addr string) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "PING\r\n"); err != nil {
		return err.Error()
	}
	answer, _ := io.ReadAll(c) // that it ends is an answer too
	return string(answer)
}

// A volume that was filled without TLS has a sentinel's memory: the way in is none.
func TestASetIsGivenTLSAndItIsTakenAway(t *testing.T) {
	t.Parallel()
	s := newSet(t, nil)
	n := s.sentinels[0]
	if err := os.WriteFile(filepath.Join(n.dir, "sentinel.conf"), []byte("port "+n.port+"\nsentinel myid 0123456789012345678901234567890123456789\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	without := slices.Clone(n.environ)
	s.speakTLS()
	with := n.environ
	for i, environ := range [][]string{with, without, with} {
		n.environ = environ
		n.start()
		eventually(t, 20*time.Second, fmt.Sprintf("start %d: it answers", i), func() error { _, err := n.ask("PING"); return err })
		answer := plainAnswer(t, n.addr())
		if spoken := strings.Contains(answer, "NOAUTH") || strings.Contains(answer, "PONG"); spoken != (i == 1) {
			t.Errorf("start %d: plain text is answered with %q", i, answer)
		}
		if id := n.must("SENTINEL", "MYID"); !strings.HasPrefix(id, "0123456789") {
			t.Errorf("start %d: it is another sentinel: %s", i, id)
		}
		n.end(t)
	}
}

func TestFaultsOfCertificatesAreFound(t *testing.T) {
	t.Parallel()
	t.Run("a certificate of somebody else", func(t *testing.T) {
		t.Parallel()
		s, other := newSet(t, nil), newSet(t, nil)
		s.speakTLS()
		other.speakTLS()
		for _, file := range []string{"tls.crt", "tls.key"} {
			copyFile(t, filepath.Join(other.certificates, "redis-1", file), filepath.Join(s.certificates, "redis-1", file))
		}
		s.redis[0].start()
		eventually(t, 10*time.Second, "redis-cli does not trust it", func() error {
			if out, err := s.redis[0].ask("PING"); err == nil || !strings.Contains(err.Error(), "certificate verify failed") {
				return fmt.Errorf("%q, %v", out, err)
			}
			return nil
		})
	})
	t.Run("a key of another certificate", func(t *testing.T) {
		t.Parallel()
		s := newSet(t, nil)
		s.speakTLS()
		copyFile(t, filepath.Join(s.certificates, "redis-2/tls.key"), filepath.Join(s.certificates, "redis-1/tls.key"))
		n := s.redis[0]
		n.start()
		<-n.exited
		if !strings.Contains(n.log.String(), "key values mismatch") {
			t.Errorf("its log:\n%s", &n.log)
		}
	})
	t.Run("a replica that speaks plain to its master", func(t *testing.T) {
		t.Parallel()
		s := newSet(t, replace(t, "tls.conf.tmpl", "tls-replication yes", "tls-replication no"))
		s.speakTLS()
		s.redis[0].start()
		s.redis[0].awaitHealthy()
		s.redis[1].start()
		eventually(t, 10*time.Second, "it is not healthy", func() error {
			if _, err := s.redis[1].script("health.sh", "redis"); err == nil || !strings.Contains(err.Error(), "no replica whose link is up") {
				return fmt.Errorf("%w", err)
			}
			return nil
		})
	})
	t.Run("what certificates.sh is told", func(t *testing.T) {
		t.Parallel()
		dir := "CERTIFICATES_DIR=" + t.TempDir()
		for want, args := range map[string][]string{
			"CERTIFICATE_DAYS=soon":  {dir, "CERTIFICATE_DAYS=soon"},
			"neither a host name":    {dir, "CERTIFICATE_NAMES=cache.example,DNS:x/y"},
			"forget-authority, or n": {dir, "how=rotate"},
			"openssl is needed":      {dir, "PATH=" + without(t, "openssl")},
		} {
			how := strings.TrimPrefix(args[1], "how=")
			argv := []string{certificates}
			if how != args[1] {
				argv = append(argv, how)
			}
			if out, err := shell(t, args, argv...); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %q, %v", want, out, err)
			}
		}
	})
	t.Run("an authority that still signs", func(t *testing.T) {
		t.Parallel()
		s := newSet(t, nil)
		s.speakTLS()
		for _, file := range []string{"ca.crt", "ca.key"} { // as a run that was cut off leaves it
			copyFile(t, filepath.Join(s.certificates, "authority", file), filepath.Join(s.certificates, "authority", strings.Replace(file, "ca", "old", 1)))
		}
		other := newSet(t, nil)
		other.speakTLS()
		copyFile(t, filepath.Join(other.certificates, "authority/ca.crt"), filepath.Join(s.certificates, "authority/ca.crt"))
		if out, err := shell(t, s.certify(), certificates, "forget-authority"); err == nil || !strings.Contains(err.Error(), "renew-authority first") {
			t.Errorf("%q, %v", out, err)
		}
	})
}

// without is a PATH that has everything but one program.
func without(t *testing.T, program string) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range filepath.SplitList(os.Getenv("PATH")) {
		programs, err := filepath.Glob(filepath.Join(d, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range programs {
			if filepath.Base(p) != program {
				_ = os.Symlink(p, filepath.Join(dir, filepath.Base(p))) // the first of a name counts
			}
		}
	}
	return dir
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	if err := os.WriteFile(to, []byte(read(t, from)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNoKeyIsReadByOthers(t *testing.T) {
	t.Parallel()
	s := newSet(t, nil)
	s.speakTLS()
	for name, want := range map[string]os.FileMode{".": 0o700, "authority": 0o700, "authority/ca.key": 0o600} {
		info, err := os.Stat(filepath.Join(s.certificates, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	keys, err := filepath.Glob(filepath.Join(s.certificates, "*/tls.key"))
	if err != nil || len(keys) != 10 {
		t.Fatalf("%q, %v", keys, err)
	}
	for _, key := range keys {
		info, err := os.Stat(key)
		if err != nil {
			t.Fatal(err)
		}
		if os.Getuid() == 0 && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", key, info.Mode())
		}
	}
}

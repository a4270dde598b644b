package redisproc

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// A process's directory holds these.
const (
	confName = "redis.conf"
	dataName = "data"
	logName  = "log"
)

// writeConf writes the configuration file, which the process may rewrite later: a sentinel keeps
// its state in it, and CONFIG REWRITE the role of a server. Redis gives the rewritten file mode
// 0644; the directory, which is 0700, still keeps the passwords from others.
func (p *Process) writeConf() error {
	text := render(p.options, p.port.Number(), filepath.Join(p.dir, dataName))
	if err := os.WriteFile(p.confPath(), []byte(text), 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

func (p *Process) confPath() string { return filepath.Join(p.dir, confName) }

// render is the configuration file for a process on port with its data in dir.
func render(o Options, port int, dir string) string {
	var c conf
	c.line("bind", "127.0.0.1")
	c.line("dir", dir)
	c.line("daemonize", "no")
	c.listen(o, port)
	if o.Password != "" {
		c.line("requirepass", o.Password)
	}
	for _, u := range o.Users {
		c.line(append([]string{"user", u.Name, "on", ">" + u.Password}, u.Rules...)...)
	}
	if o.Kind == Sentinel {
		c.sentinel(port)
	} else {
		c.server(o, port)
	}
	for _, line := range o.Config {
		c.text.WriteString(line + "\n")
	}
	return c.text.String()
}

// conf builds a configuration file.
type conf struct{ text strings.Builder }

// line adds one directive.
func (c *conf) line(words ...string) {
	for i, w := range words {
		if i > 0 {
			c.text.WriteByte(' ')
		}
		c.text.WriteString(quote(w))
	}
	c.text.WriteByte('\n')
}

func (c *conf) listen(o Options, port int) {
	if o.TLS == nil {
		c.line("port", fmt.Sprint(port))
		return
	}
	c.line("port", "0")
	c.line("tls-port", fmt.Sprint(port))
	c.line("tls-replication", "yes") // a sentinel takes it as: speak TLS to servers and sentinels
	c.line("tls-ca-cert-file", o.TLS.CAFile)
	c.line("tls-cert-file", o.TLS.ServerCertFile)
	c.line("tls-key-file", o.TLS.ServerKeyFile)
	c.line("tls-auth-clients", yesNo(o.RequireClientCert))
}

// sentinel adds what only a sentinel understands.
func (c *conf) sentinel(port int) {
	c.line("sentinel", "announce-ip", "127.0.0.1")
	c.line("sentinel", "announce-port", fmt.Sprint(port))
}

// server adds what only a server understands. Without a delay a replica is in sync some
// milliseconds after it connects, instead of five seconds.
func (c *conf) server(o Options, port int) {
	c.line("replica-announce-ip", "127.0.0.1")
	c.line("replica-announce-port", fmt.Sprint(port))
	c.line("save", "")
	c.line("repl-diskless-sync", "yes")
	c.line("repl-diskless-sync-delay", "0")
	if o.MasterPassword != "" {
		c.line("masterauth", o.MasterPassword)
	}
	if o.MasterUser != "" {
		c.line("masteruser", o.MasterUser)
	}
	if o.ReplicaOf != "" {
		host, port, _ := net.SplitHostPort(o.ReplicaOf) // validate has seen it
		c.line("replicaof", host, port)
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// quote writes a word so that redis reads it back unchanged: as it is when it is plain, else in
// double quotes with escapes.
func quote(word string) string {
	plain := word != ""
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(word) {
		switch ch := word[i]; {
		case ch == '"' || ch == '\\':
			plain = false
			b.WriteByte('\\')
			b.WriteByte(ch)
		case ch < ' ' || ch > '~':
			plain = false
			fmt.Fprintf(&b, `\x%02x`, ch)
		default:
			plain = plain && ch != ' ' && ch != '\'' && ch != '#'
			b.WriteByte(ch)
		}
	}
	b.WriteByte('"')
	if plain {
		return word
	}
	return b.String()
}

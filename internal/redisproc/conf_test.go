package redisproc

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"plain":      "plain",
		"~*":         "~*",
		"+@all":      "+@all",
		"":           `""`,
		"two words":  `"two words"`,
		`say "hi"`:   `"say \"hi\""`,
		`back\slash`: `"back\\slash"`,
		"#hash":      `"#hash"`,
		"it's":       `"it's"`,
		"a\r\nb":     `"a\x0d\x0ab"`,
		"é":          `"\xc3\xa9"`,
	} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestConfiguration(t *testing.T) {
	tests := []struct {
		name string
		o    Options
		want []string
	}{
		{"plain server", Options{}, []string{
			"bind 127.0.0.1", "dir /data", "daemonize no", "port 7000",
			"replica-announce-ip 127.0.0.1", "replica-announce-port 7000", `save ""`, "repl-diskless-sync yes", "repl-diskless-sync-delay 0",
		}},
		{"sentinel with a password", Options{Kind: Sentinel, Password: "a b"}, []string{
			"bind 127.0.0.1", "dir /data", "daemonize no", "port 7000", `requirepass "a b"`,
			"sentinel announce-ip 127.0.0.1", "sentinel announce-port 7000",
		}},
		{
			"replica with users and lines of its own",
			Options{
				Password: "pw", ReplicaOf: "127.0.0.1:7001", MasterUser: "repl",
				Users:  []User{{"app", "secret", []string{"~*", "+@all"}}},
				Config: []string{"maxmemory 1mb"},
			},
			[]string{
				"bind 127.0.0.1", "dir /data", "daemonize no", "port 7000", "requirepass pw",
				"user app on >secret ~* +@all",
				"replica-announce-ip 127.0.0.1", "replica-announce-port 7000", `save ""`, "repl-diskless-sync yes", "repl-diskless-sync-delay 0",
				"masterauth pw", "masteruser repl", "replicaof 127.0.0.1 7001", "maxmemory 1mb",
			},
		},
		{
			"TLS sentinel",
			Options{Kind: Sentinel, RequireClientCert: true, TLS: &TLS{CAFile: "/ca", ServerCertFile: "/crt", ServerKeyFile: "/key"}},
			[]string{
				"bind 127.0.0.1", "dir /data", "daemonize no", "port 0", "tls-port 7000", "tls-replication yes",
				"tls-ca-cert-file /ca", "tls-cert-file /crt", "tls-key-file /key", "tls-auth-clients yes",
				"sentinel announce-ip 127.0.0.1", "sentinel announce-port 7000",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Split(strings.TrimSuffix(render(tt.o.withDefaults(), 7000, "/data"), "\n"), "\n")
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("configuration (-want +got):\n%s", d)
			}
		})
	}
}

func TestEveryFaultInTheOptionsIsNamed(t *testing.T) {
	err := Options{
		ReplicaOf: "nowhere", RequireClientCert: true,
		Users: []User{{Name: "two words"}}, Config: []string{"a\nb"},
	}.validate()
	if err == nil {
		t.Fatal("validate = nil")
	}
	for _, want := range []string{"ReplicaOf", "RequireClientCert", "Users[0]", "Config[0]"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not name %s: %v", want, err)
		}
	}
}

func TestSecretsAreCutOut(t *testing.T) {
	o := Options{Password: "abc", Users: []User{{Name: "u", Password: `abc "d"`}}}.withDefaults()
	got := o.redact(`requirepass abc; user u >` + quote(`abc "d"`) + ` and abc "d"`)
	if want := "requirepass (secret); user u >(secret) and (secret)"; got != want {
		t.Errorf("redact = %q, want %q", got, want)
	}
}

func TestLastLines(t *testing.T) {
	for _, tt := range []struct {
		in   string
		n    int
		want string
	}{
		{"", 3, ""},
		{"a\nb\n", 3, "a\nb"},
		{"a\nb\nc\nd\n", 2, "c\nd"},
	} {
		if got := lastLines(tt.in, tt.n); got != tt.want {
			t.Errorf("lastLines(%q, %d) = %q, want %q", tt.in, tt.n, got, tt.want)
		}
	}
}

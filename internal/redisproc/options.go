package redisproc

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// Options say what to start. The zero value is a server without a password and without persistence.
type Options struct {
	Kind Kind

	// Password is the default user's; empty means none. Do authenticates with it, and a replica
	// presents it to its master unless MasterPassword is set.
	Password string
	Users    []User // further ACL users

	// AdminUser and AdminPassword are what Do authenticates with instead, for a server whose
	// default user is off.
	AdminUser, AdminPassword string

	ReplicaOf                  string // the master's host:port; empty for a master
	MasterUser, MasterPassword string // presented to the master

	TLS               *TLS // nil: plain TCP; else TLS is all that is spoken, replication included
	RequireClientCert bool // refuse clients without a certificate of the TLS's CA

	// Config holds lines for the configuration file. They come last, so they win over ours.
	Config []string

	// Env is added to the environment of the process.
	Env []string

	Place

	// StartTimeout bounds the wait for a process to answer (default 15 s). It counts the time for
	// loading data too.
	StartTimeout time.Duration

	hidden  string               // a further password in Config
	reserve func() (port, error) // for tests: where ports come from
}

// User is an ACL user. Rules are ACL rules such as "~*", "+@all" or "&channel".
type User struct {
	Name, Password string
	Rules          []string
}

func (o Options) withDefaults() Options {
	o.StartTimeout = cmp.Or(o.StartTimeout, 15*time.Second)
	if o.AdminUser == "" {
		o.AdminPassword = cmp.Or(o.AdminPassword, o.Password)
	}
	o.MasterPassword = cmp.Or(o.MasterPassword, o.Password)
	if o.reserve == nil {
		o.reserve = o.Place.reserve
	}
	return o
}

func (o Options) validate() error {
	var errs []error
	if o.ReplicaOf != "" {
		if _, _, err := net.SplitHostPort(o.ReplicaOf); err != nil {
			errs = append(errs, fmt.Errorf("option ReplicaOf: %w", err))
		}
	}
	if o.RequireClientCert && o.TLS == nil {
		errs = append(errs, errors.New("option RequireClientCert: needs TLS"))
	}
	for i, u := range o.Users {
		if u.Name == "" || strings.ContainsAny(u.Name, " \t\r\n\x00") {
			errs = append(errs, fmt.Errorf("option Users[%d]: a user's name is one word", i))
		}
	}
	for i, line := range o.Config {
		if strings.ContainsAny(line, "\r\n\x00") {
			errs = append(errs, fmt.Errorf("option Config[%d]: one line each", i))
		}
	}
	return errors.Join(errs...)
}

// secrets are the passwords that must not appear in a log tail, longest first, as they are and as
// quoted in the configuration file, whose faulty lines redis prints.
func (o Options) secrets() []string {
	plain := []string{o.Password, o.AdminPassword, o.MasterPassword, o.hidden}
	for _, u := range o.Users {
		plain = append(plain, u.Password)
	}
	var all []string
	for _, s := range plain {
		if s != "" {
			all = append(all, s, quote(s))
		}
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return all
}

// redact cuts the secrets out of text.
func (o Options) redact(text string) string {
	for _, s := range o.secrets() {
		text = strings.ReplaceAll(text, s, "(secret)")
	}
	return text
}

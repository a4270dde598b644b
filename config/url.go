package config

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/evercache/evercache"
)

// target is what REDIS_URL says.
type target struct {
	tls      bool
	host     string
	port     int
	username string
	password evercache.Secret
	hasDB    bool
	db       int
}

const fixURL = "write redis://user:password@host:port/db, or rediss:// for TLS"

// redisURL reads redis:// and rediss://. None of its problems shows a piece of
// the value: where a URL is malformed, nobody can say what is the password.
func redisURL(v string) (target, []problem) {
	if bad := wrongScheme(v); bad != nil {
		return target{}, bad
	}
	u, err := url.Parse(v)
	if err != nil {
		return target{}, wrong("", "cannot be read as a URL", "percent-encode the special signs in user and password: / is %2F, # is %23, ? is %3F, % is %25")
	}
	t := target{tls: strings.EqualFold(u.Scheme, "rediss"), port: 6379}
	return t, t.fill(u)
}

func wrongScheme(v string) []problem {
	scheme, _, _ := strings.Cut(strings.ToLower(v), ":")
	switch {
	case strings.Contains(scheme, "unix") || strings.Contains(scheme, "socket") || strings.HasPrefix(v, "/"):
		return wrong("", "names a unix socket, which is not supported", "write redis://host:port/db")
	case strings.Contains(scheme, "sentinel"):
		return wrong("", "names sentinels", "use REDIS_SENTINEL_ENABLED, REDIS_SENTINEL_MASTER_NAME and REDIS_SENTINELS")
	case scheme != "redis" && scheme != "rediss" || !strings.HasPrefix(v[len(scheme):], "://"):
		return wrong("", "does not begin with redis:// or rediss://", fixURL)
	}
	return nil
}

// fill takes the parts of a URL and lists all that is wrong with them.
func (t *target) fill(u *url.URL) (bad []problem) {
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		bad = append(bad, problem{"", "holds a ? or a #", "options have variables of their own; in a password write %3F for ? and %23 for #"})
	}
	var ok bool
	if t.host, ok = hostName(u.Hostname()); !ok {
		bad = append(bad, problem{"", "has no host, or a bad one", fixURL})
	}
	if p := u.Port(); p != "" {
		var wrongPort []problem
		if t.port, wrongPort = port(p); wrongPort != nil {
			bad = append(bad, problem{"", "has a bad port", "give a port from 1 to 65535"})
		}
	}
	if u.User != nil {
		password, _ := u.User.Password()
		t.username, t.password = u.User.Username(), evercache.Secret(password)
	}
	if path := strings.TrimPrefix(u.Path, "/"); path != "" {
		n, wrongDB := whole(0, maxDB)(path)
		t.hasDB, t.db = true, n
		if wrongDB != nil {
			bad = append(bad, problem{"", "has something else than a database number after the host", fixURL})
		}
	}
	return bad
}

// String is the URL without its password.
func (t target) String() string {
	u := url.URL{Scheme: "redis", Host: joinPort(t.host, t.port)}
	if t.tls {
		u.Scheme = "rediss"
	}
	if t.hasDB {
		u.Path = "/" + strconv.Itoa(t.db)
	}
	login := url.User(t.username).String()
	if t.password != "" {
		login += ":" + t.password.String()
	}
	if login != "" {
		login += "@"
	}
	return u.Scheme + "://" + login + u.Host + u.Path
}

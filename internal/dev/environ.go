package dev

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// writePassword makes a password and keeps it in a file.
func writePassword(file string) (string, error) {
	password := rand.Text()
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep the password: %w", err)
	}
	return password, nil
}

// environ is what a program needs to find the servers, without the password itself.
func (s *servers) environ() []string {
	var env []string
	set := func(name, value string) { env = append(env, name+"="+value) }
	switch s.options.Mode {
	case Sentinel:
		set("REDIS_SENTINEL_ENABLED", "true")
		set("REDIS_SENTINEL_MASTER_NAME", MasterName)
		set("REDIS_SENTINELS", addresses(s.sentinels()))
	case Cluster:
		set("REDIS_CLUSTER_NODES", addresses(s.nodes()))
	default:
		set("REDIS_HOST", "127.0.0.1")
		set("REDIS_PORT", fmt.Sprint(s.nodes()[0].Port()))
	}
	if s.passwordFile != "" {
		set("REDIS_PASSWORD_FILE", s.passwordFile)
	}
	if s.tls != nil {
		set("REDIS_TLS", "true")
		set("REDIS_TLS_CA_FILE", s.tls.CAFile)
	}
	return env
}

func addresses(all []server) string {
	var addrs []string
	for _, p := range all {
		addrs = append(addrs, p.Addr())
	}
	return strings.Join(addrs, ",")
}

// exports is the environment as a shell reads it. What else the caller's environment says of Redis is
// taken away: it would contradict.
func exports(env, callers []string) string {
	var b strings.Builder
	if others := redisNames(callers, env); len(others) > 0 {
		fmt.Fprintf(&b, "unset %s\n", strings.Join(others, " "))
	}
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		fmt.Fprintf(&b, "export %s=%s\n", name, shellQuote(value))
	}
	return b.String()
}

// shellQuote leaves plain words as they are.
func shellQuote(s string) string {
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("_-./:,@%+=", c)
	}
	if s != "" && !strings.ContainsFunc(s, func(c rune) bool { return !plain(c) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// redisNames are the names of REDIS_ variables in an environment, without those that ours has too.
// A name that no shell would take is left out.
func redisNames(environ, ours []string) []string {
	var names []string
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		has := func(e string) bool { return strings.HasPrefix(e, name+"=") }
		if value != "" && isRedisName(name) && !slices.ContainsFunc(ours, has) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func isRedisName(name string) bool {
	rest, ok := strings.CutPrefix(name, "REDIS_")
	return ok && len(name) <= 64 && !strings.ContainsFunc(rest, func(c rune) bool {
		return c != '_' && (c < 'A' || c > 'Z') && (c < '0' || c > '9')
	})
}

// serviceEnviron is the environment of a service on the set: what the caller says of evercache, and
// nothing of what he says of Redis. The service may take two seconds to end.
func serviceEnviron(env, callers []string) []string {
	out := []string{"EVERCACHE_DRAIN_TIMEOUT=2s"}
	for _, entry := range callers {
		if !strings.HasPrefix(entry, "REDIS_") {
			out = append(out, entry)
		}
	}
	return append(out, env...)
}

// envMark is the first line of the files that we write, and may write again.
const envMark = "# Written by evercache dev."

// writeEnvFile writes name=value lines, which docker, systemd and a shell (set -a) read. It replaces
// no file of anybody else.
func writeEnvFile(file string, env []string) error {
	if !mayReplace(file) {
		return fmt.Errorf("--env-file %s: there is such a file, and evercache dev has not written it; choose another name", file)
	}
	text := envMark + " It holds while that runs.\n" + strings.Join(env, "\n") + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("--env-file: %w", err)
	}
	return nil
}

// mayReplace: there is no such file, or it is empty, or ours.
func mayReplace(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return os.IsNotExist(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return false
	}
	first, err := io.ReadAll(io.LimitReader(f, int64(len(envMark))))
	return err == nil && (len(first) == 0 || string(first) == envMark)
}

package dev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/evercache/evercache/internal/redisproc"
)

// ErrNoRedis means that there is no redis-server to start.
var ErrNoRedis = errors.New("there is no redis-server, and no valkey-server, on PATH")

// available is nil when servers can be started; else it says what to install.
func available() error {
	err := redisproc.Available(redisproc.Server)
	switch {
	case err == nil:
		return nil
	case os.Getenv(redisproc.ServerEnv) != "": // somebody has chosen a program, and it is not there
		return err
	}
	return fmt.Errorf("%w: %s", ErrNoRedis, howToInstall(runtime.GOOS))
}

func howToInstall(system string) string {
	switch system {
	case "linux":
		return "install it (Debian, Ubuntu: apt-get install redis-server; Fedora: dnf install valkey; Alpine: apk add redis)"
	case "darwin":
		return "install it (brew install redis)"
	case "windows":
		return "Redis does not run on Windows; use WSL"
	}
	return "install the package redis or valkey of your system"
}

// Run starts the servers, takes orders until one says quit or ctx ends, and leaves nothing behind. Its
// error is an OptionsError for options that cannot work.
func Run(ctx context.Context, o Options) (err error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return err
	}
	if err := available(); err != nil {
		return err
	}
	rt, err := openRuntime(o.Environ)
	if err != nil {
		return err
	}
	lock, err := rt.claim(o.Name)
	if err != nil {
		return err
	}
	defer lock.Close()

	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	r := &run{options: o, runtime: rt, end: end, out: newPrinter(o.Stdout), orders: make(chan order)}
	defer r.out.close()
	if o.EnvFile != "" && !mayReplace(o.EnvFile) {
		return OptionsError{fmt.Errorf("--env-file %s: there is such a file, and evercache dev has not written it; choose another name", o.EnvFile)}
	}
	said, err := rt.sweepOne(o.Name)
	if err != nil {
		return fmt.Errorf("what a set named %s has left: %w", o.Name, err)
	}
	others, warning := rt.sweep()
	r.say(append(said, others...)...)
	if warning != nil {
		r.say("warning: " + warning.Error())
	}
	defer func() { err = errors.Join(err, r.cleanUp()) }()
	if err := r.begin(ctx); err != nil {
		if ctx.Err() != nil { // it was interrupted, and that is no fault
			return nil
		}
		return err
	}
	return r.loop(ctx)
}

// begin starts everything, from the files to the service.
func (r *run) begin(ctx context.Context) (err error) {
	temporary := r.options.Dir == ""
	if r.dir, err = r.directory(); err != nil {
		return err
	}
	if r.record, err = newRecord(r.runtime.state(r.options.Name), r.dir, temporary); err != nil {
		return err
	}
	r.say("starting " + r.options.describe() + " ...")
	if r.servers, err = startServers(ctx, r.options, r.dir, r.record.add); err != nil {
		return err
	}
	if err := r.record.fault(); err != nil {
		return err
	}
	env := r.servers.environ()
	if r.options.EnvFile != "" {
		if err := writeEnvFile(r.options.EnvFile, env); err != nil {
			return err
		}
	}
	if r.listener, err = r.runtime.listen(r.options.Name, r.orders); err != nil {
		return err
	}
	return r.serve(ctx, env)
}

func (o Options) describe() string {
	switch o.Mode {
	case Sentinel:
		return fmt.Sprintf("a master, %s and %s", count(o.Replicas, "replica"), count(o.Sentinels, "sentinel"))
	case Cluster:
		return fmt.Sprintf("a Cluster of %s with %s each", count(o.Masters, "master"), count(o.Replicas, "replica"))
	}
	return "one server"
}

// directory is where everything goes: a new temporary directory, or an empty one of the user's choice.
func (r *run) directory() (string, error) {
	if r.options.Dir == "" {
		return os.MkdirTemp("", dirPrefix+r.options.Name+"-")
	}
	dir, err := filepath.Abs(r.options.Dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("--dir: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = errors.New("it is not empty, and another run's files would be mixed with these; choose another one")
	}
	if err != nil {
		return "", fmt.Errorf("--dir %s: %w", r.options.Dir, err)
	}
	return dir, nil
}

// serve starts the service, if one is asked for.
func (r *run) serve(ctx context.Context, env []string) error {
	if r.options.Serve == nil {
		return nil
	}
	log, err := os.OpenFile(filepath.Join(r.dir, serviceLog), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	r.serviceLog = log
	r.service, err = r.options.Serve(ctx, serviceEnviron(env, r.options.Environ), log)
	return err
}

// cleanUp ends what begin has started, in reverse order, and then answers whoever has asked for it.
func (r *run) cleanUp() error {
	r.end(errors.New("the set ends"))
	if r.service != nil {
		<-r.service.Ended()
	}
	r.watchers.Wait() // they ask the servers
	var errs []error
	if r.serviceLog != nil {
		errs = append(errs, r.serviceLog.Close())
	}
	if r.servers != nil {
		errs = append(errs, r.servers.close())
	}
	where := "their files are in " + r.dir
	if r.options.Dir == "" && r.dir != "" {
		where = "their files are removed"
		errs = append(errs, os.RemoveAll(r.dir))
	}
	if r.record != nil {
		errs = append(errs, r.record.remove())
	}
	err := errors.Join(errs...)
	if err == nil && r.servers != nil {
		r.say("all servers are ended, " + where)
	}
	for _, a := range r.quitters {
		a <- answer{Text: "all servers are ended, " + where, Error: errorText(err)}
	}
	if r.listener != nil {
		err = errors.Join(err, r.listener.close())
	}
	if e := os.Remove(r.runtime.socket(r.options.Name)); e != nil && !errors.Is(e, fs.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return err
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return strings.TrimSpace(err.Error())
}

// Command dist makes what a release consists of: a static binary for each platform
// in an archive of its own, the licences of what is in it, a bill of materials, and
// checksums. Two runs on one commit give the same bytes. From the top of the tree:
//
//	make dist          into bin/dist
//	make dist-check    the native platform twice, in two folders, and compares
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// platforms are those of a release.
var platforms = []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64"}

func main() {
	out := flag.String("out", "bin/dist", "where to, from the top of the tree; what is there goes")
	only := flag.String("platforms", strings.Join(platforms, ","), "os/arch, with commas between")
	check := flag.Bool("check", false, "build the native platform twice and compare")
	flag.Parse()
	err := func() error {
		top, err := output(".", nil, "git", "rev-parse", "--show-toplevel")
		if err != nil {
			return err
		}
		if *check {
			return compare(top, runtime.GOOS+"/"+runtime.GOARCH)
		}
		return fromCommit(top, release{out: filepath.Join(top, *out), platforms: strings.Split(*only, ",")})
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

// release is one run.
type release struct {
	tree, out string
	platforms []string
	cache     string    // for the go command; "": its own
	at        time.Time // of the commit: no file is younger
}

// make builds everything into out.
func (r *release) make() error {
	if err := r.commit(); err != nil {
		return err
	}
	if err := os.RemoveAll(r.out); err != nil {
		return err
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	var names []string
	for _, p := range r.platforms {
		made, err := r.platform(p)
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		names = append(names, made...)
	}
	return checksums(r.out, names)
}

// fromCommit builds the last commit, in a clone of its own: what is not committed is in
// no release, and the go command learns the version from a whole repository only.
func fromCommit(top string, r release) error {
	changed, err := output(top, nil, "git", "status", "--porcelain")
	if err != nil {
		return err
	}
	if changed != "" {
		fmt.Fprintln(os.Stderr, "dist: what is not committed is not built")
	}
	work, err := os.MkdirTemp("", "dist-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // a temporary directory
	r.tree = filepath.Join(work, "tree")
	if err := clone(top, r.tree); err != nil {
		return err
	}
	return r.make()
}

// clone makes a repository with the last commit of another one checked out.
func clone(from, to string) error {
	head, err := output(from, nil, "git", "rev-parse", "HEAD")
	if err != nil {
		return err
	}
	if _, err := output(".", nil, "git", "clone", "-q", "--no-checkout", "--local", from, to); err != nil {
		return err
	}
	_, err = output(to, nil, "git", "checkout", "-q", "--detach", head)
	return err
}

// commit learns when the commit was made.
func (r *release) commit() error {
	stamp, err := output(r.tree, nil, "git", "log", "-1", "--format=%ct")
	if err != nil {
		return err
	}
	if given := os.Getenv("SOURCE_DATE_EPOCH"); given != "" {
		stamp = given
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %q is no number of seconds", stamp)
	}
	r.at = time.Unix(seconds, 0).UTC()
	return nil
}

// output runs a program and returns what it prints, without the last line's end.
func output(dir string, environ []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), environ...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimRight(string(out), "\n"), err
}

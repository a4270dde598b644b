package main

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/evercache/evercache/redistest"
)

func TestRevokeInitSaysWhetherTheListWasMarkedAlready(t *testing.T) {
	r := redistest.Start(t)
	says := func(want string) {
		t.Helper()
		var out bytes.Buffer
		status := run([]string{"revoke", "init"}, invocation{environ: []string{"REDIS_URL=redis://" + r.Addr()}, stdout: &out, stderr: &out})
		if status != exitOK || out.String() != want+"\n" {
			t.Errorf("exit status %d, %q, want %q", status, &out, want)
		}
	}
	const marked, already = "the denylist is marked as complete", "the denylist was already marked as complete"
	says(marked)
	says(already)
	says(already)
	if r.Do("FLUSHALL") != "OK" {
		t.Fatal("not emptied")
	}
	says(marked)
	if n := fmt.Sprint(r.Do("ZCARD", "~r:{tokens}:set")); n != "1" {
		t.Errorf("%s members", n)
	}
}

//go:build unix

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What answers is not always evercache, and not always a friend.
func TestInspectBelievesOnlyWhatMakesSense(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answer string
		status int
		want   string
	}{
		{`{"class":"c","checked":1,"wrong":0}`, exitOK, "1 entry of memory compared with Redis, 0 wrong"},
		{`{"class":"c","checked":9,"wrong":0}`, exitOK, "9 entries of memory compared with Redis, 0 wrong"},
		{`{"class":"c","checked":9,"wrong":1,"worst":[{"keySha256":"ab\u001b[2J"}]}`, exitFailed, "1 wrong"},
		{`{"class":"c","used":true,"checked":0,"wrong":0}`, exitOK, "nothing of the class is in memory"},
		{`{"class":"c","used":false,"checked":0,"wrong":0}`, exitFailed, "is the name right?"},
		{`{}`, exitFailed, "does not answer like evercache"},
		{`{"class":"other","checked":9}`, exitFailed, "does not answer like evercache"},
		{`{"class":"c","checked":-1,"wrong":-1}`, exitFailed, "does not answer like evercache"},
		{`<html>`, exitFailed, "does not answer like evercache"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, c.answer) }))
		text, status := runHere(nil, "inspect", "c", "--url", server.URL)
		server.Close()
		if status != c.status || !strings.Contains(text, c.want) || strings.Contains(text, "\x1b") {
			t.Errorf("%s: status %d, %q; want %d, %q", c.answer, status, text, c.status, c.want)
		}
	}
	if text, status := runHere(nil, "inspect", "--most", "0", "--timeout", "0s"); status != exitUsage || !strings.Contains(text, "--most 0") || !strings.Contains(text, "--timeout 0s") || !strings.Contains(text, "want one class") {
		t.Errorf("status %d, %s", status, text)
	}
}

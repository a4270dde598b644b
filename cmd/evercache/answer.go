package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/evercache/evercache/internal/censor"
)

// maxAnswer bounds what is shown of what another process says, in bytes.
const maxAnswer = 400

// noAnswer is why another process did not answer. Its text is fit to be shown: an HTTP server writes its part
// of it.
type noAnswer struct{ err error }

func (e *noAnswer) Error() string {
	if errors.Is(e.err, context.DeadlineExceeded) {
		return "no whole answer in time"
	}
	return censor.Text(e.err.Error(), maxAnswer)
}

func (e *noAnswer) Unwrap() error { return e.err }

// counted is a number with its word.
func counted[N int | int64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// statusLine is the status of an answer, fit to be shown.
func statusLine(resp *http.Response) string { return censor.Text(resp.Status, maxAnswer) }

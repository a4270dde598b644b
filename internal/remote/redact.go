package remote

import "github.com/evercache/evercache/internal/censor"

const (
	maxSaid  = 200 // bytes that we show of an error reply
	maxShown = 400 // and of an error that may hold one
)

// said is an error with another text.
type said struct {
	text string
	err  error
}

func (s *said) Error() string { return s.text }
func (s *said) Unwrap() error { return s.err }

// told is an error, which may be the server's, with a text that can be shown.
func told(err error) error {
	if err == nil {
		return nil
	}
	before := err.Error()
	after := censor.Text(before, maxSaid)
	if after == before {
		return err
	}
	return &said{text: after, err: err}
}

// redact is told without a password, however short. A server without AUTH or
// HELLO repeats their arguments.
func redact(err error, password string) error {
	before := err.Error()
	if after := censor.Without(before, password); after != before {
		err = &said{text: after, err: err}
	}
	return told(err)
}

package survey

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/censor"
	"github.com/evercache/evercache/internal/remote"
)

// interview is the connection to one server while that is asked.
type interview struct {
	*remote.Link
	limit time.Duration // of each step
	s     *Server
}

// meet dials a server, within the time that c allows. The error says why it cannot be asked.
func meet(ctx context.Context, limit time.Duration, s *Server, c remote.Config) (*interview, error) {
	began := time.Now()
	link, err := remote.DialLink(ctx, c) // within c.DialTimeout
	if err != nil {
		return nil, err
	}
	s.Connect, s.Certificate = time.Since(began), link.CertificateEnds()
	if s.Dialed == "" {
		s.Reached = link.At()
	}
	return &interview{Link: link, limit: limit, s: s}, nil
}

// ask puts questions in one pipeline and notes those that are refused.
func (i *interview) ask(ctx context.Context, questions ...[]string) ([]remote.Reply, error) {
	replies, err := i.Ask(ctx, i.limit, questions...)
	if err != nil {
		return nil, err
	}
	for n, r := range replies {
		if r.Err != nil {
			i.refused(questions[n], r.Err)
		}
	}
	return replies, nil
}

func (i *interview) refused(question []string, err error) {
	if i.s.Refused == nil {
		i.s.Refused = map[string]string{}
	}
	i.s.Refused[strings.Join(question, " ")] = censor.Text(err.Error(), maxValue)
}

// timed asks one question and takes the time that it takes.
func (i *interview) timed(ctx context.Context, question ...string) (remote.Reply, time.Time, error) {
	before := time.Now()
	replies, err := i.ask(ctx, question)
	if err != nil {
		return remote.Reply{}, before, err
	}
	i.s.Latency = max(time.Since(before), 1) // 0 stands for no answer
	return replies[0], before, nil
}

// text is a reply as text. A verbatim string of RESP3 begins with its kind.
func text(r remote.Reply) string { return strings.TrimPrefix(r.Text(), "txt:") }

// sorted is a set of texts in order.
func sorted(texts []string) []string {
	out := slices.Clone(texts)
	slices.Sort(out)
	return slices.Compact(out)
}

package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// memory is a store that takes every write, and forgets those under a key.
type memory struct {
	mu     sync.Mutex
	values map[string]string
	forget string
}

func (m *memory) Set(_ context.Context, key, value string) (Ack, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !strings.HasPrefix(key, m.forget) || m.forget == "" {
		m.values[key] = value
	}
	return Landed, nil
}

func (m *memory) Get(_ context.Context, key string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.values[key]; ok {
		return v, nil
	}
	return "", errors.New("not found")
}

// serve answers GET and ROLE as a Redis server would.
func (m *memory) serve(t *testing.T, role func() string) Node {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go m.answer(c, role)
		}
	}()
	return Node{Addr: l.Addr().String()}
}

func (m *memory) answer(raw net.Conn, role func() string) {
	c := &conn{raw, bufio.NewReader(raw)}
	defer c.Close()
	for {
		v, err := c.reply()
		words, _ := v.([]any)
		if err != nil || len(words) == 0 {
			return
		}
		if words[0] == "ROLE" {
			_, _ = fmt.Fprintf(c, "*1\r\n$%d\r\n%s\r\n", len(role()), role())
			continue
		}
		text, err := m.Get(context.Background(), words[1].(string))
		if err != nil {
			_, _ = fmt.Fprint(c, "$-1\r\n")
			continue
		}
		_, _ = fmt.Fprintf(c, "$%d\r\n%s\r\n", len(text), text)
	}
}

func TestALoadIsRecordedAndWhatIsForgottenIsFound(t *testing.T) {
	m := &memory{values: map[string]string{}, forget: "w-1-"}
	l := Load{Store: m, Writers: 3, Readers: 2, Every: time.Millisecond, Prefix: "w-", Known: []string{"k1", "k2"}}
	if err := l.Seed(t.Context()); err != nil {
		t.Fatal(err)
	}
	run := l.Start()
	for run.History.Landed(run.Began) < 1500 {
		time.Sleep(time.Millisecond)
	}
	run.Stop()
	facts := run.Facts()
	var err error
	if facts.Unheld, err = Unheld(t.Context(), m.serve(t, nil), run.History); err != nil {
		t.Fatal(err)
	}
	s := Sum(run.History.Calls(), facts)
	forgotten := 0
	for _, c := range run.History.Calls() {
		forgotten += count(strings.HasPrefix(c.Key, "w-1-"))
	}
	if s.Lost() != forgotten || forgotten == 0 || s.Reads == 0 || s.FailedReads+s.WrongReads+s.FailedWrites > 0 {
		t.Errorf("forgotten %d, summary %+v", forgotten, s)
	}
	keys := slices.Collect(maps.Keys(facts.Unheld))
	if slices.ContainsFunc(keys, func(k string) bool { return !strings.HasPrefix(k, "w-1-") }) {
		t.Errorf("called lost though it is there: %q", keys)
	}
}

func TestAReadOfAnotherValueIsWrong(t *testing.T) {
	m := &memory{values: map[string]string{"k": "something"}}
	run := Load{Store: m, Readers: 1, Every: time.Millisecond, Known: []string{"k", "gone"}}.Start()
	for len(run.History.Calls()) < 4 {
		time.Sleep(time.Millisecond)
	}
	run.Stop()
	if s := Sum(run.History.Calls(), run.Facts()); s.WrongReads == 0 || s.FailedReads == 0 {
		t.Errorf("summary %+v", s)
	}
}

func TestTheTruthSeesANodeBecomeMaster(t *testing.T) {
	var mu sync.Mutex
	role := "slave"
	node := new(memory).serve(t, func() string { mu.Lock(); defer mu.Unlock(); return role })
	truth := Watch(node, Node{Addr: "127.0.0.1:1"})
	defer truth.Stop()
	for len(truth.Changes()) == 0 {
		time.Sleep(time.Millisecond)
	}
	if r, ok := truth.Promoted(time.Time{}, "", ""); ok {
		t.Errorf("a replica was called a master: %+v", r)
	}
	before := time.Now()
	mu.Lock()
	role = "master"
	mu.Unlock()
	for len(truth.Changes()) < 2 {
		time.Sleep(time.Millisecond)
	}
	if r, ok := truth.Promoted(before, "", ""); !ok || r.Node != node.Addr {
		t.Errorf("promoted %+v %v", r, ok)
	}
	if r, ok := truth.Promoted(before, "", node.Addr); ok {
		t.Errorf("the old master was called promoted: %+v", r)
	}
}

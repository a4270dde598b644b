package switchover

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/survey"
)

// server is a connection to one server, and a further one when that breaks.
type server struct {
	addr string
	dial func(ctx context.Context) (*remote.Link, error)
	link *remote.Link // nil: not connected
}

func node(t survey.Target, n survey.Node) *server {
	return &server{addr: n.Addr, dial: func(ctx context.Context) (*remote.Link, error) { return t.ConnectNode(ctx, n) }}
}

func sentinel(t survey.Target, s survey.Sentinel) *server {
	return &server{addr: s.Addr, dial: func(ctx context.Context) (*remote.Link, error) { return t.ConnectSentinel(ctx, s) }}
}

// ask sends commands in one pipeline. The error is that of the connection, or of the first command that was
// refused.
func (s *server) ask(ctx context.Context, commands ...[]string) ([]remote.Reply, error) {
	ctx, cancel := context.WithTimeout(ctx, perQuestion)
	defer cancel()
	if s.link == nil {
		link, err := s.dial(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.addr, err)
		}
		s.link = link
	}
	replies, err := s.link.Ask(ctx, perQuestion, commands...)
	if err != nil {
		s.close()
		return nil, fmt.Errorf("%s: %w", s.addr, err)
	}
	for i, r := range replies {
		if r.Err != nil {
			return replies, fmt.Errorf("%s: %s: %w", s.addr, commandName(commands[i]), r.Err)
		}
	}
	return replies, nil
}

// do sends one command.
func (s *server) do(ctx context.Context, words ...string) (remote.Reply, error) {
	replies, err := s.ask(ctx, words)
	if err != nil {
		return remote.Reply{}, err
	}
	return replies[0], nil
}

func (s *server) close() {
	if s.link != nil {
		s.link.Close()
		s.link = nil
	}
}

func commandName(words []string) string { return strings.Join(words[:min(2, len(words))], " ") }

// replication is what INFO replication says, as far as a switchover needs it.
type replication struct {
	role   string // master, slave
	replID string
	offset int64 // of the data that it has
	linkUp bool  // of a replica
}

var errReplication = errors.New("INFO replication makes no sense")

// parseReplication reads the answer to INFO replication.
func parseReplication(text string) (r replication, err error) {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok {
			fields[name] = value
		}
	}
	r.role, r.replID, r.linkUp = fields["role"], fields["master_replid"], fields["master_link_status"] == "up"
	offset := fields["master_repl_offset"]
	if r.role == "slave" {
		offset = fields["slave_repl_offset"]
	}
	if r.offset, err = strconv.ParseInt(offset, 10, 64); err != nil || r.offset < 0 || r.role != "master" && r.role != "slave" || r.replID == "" {
		return replication{}, errReplication
	}
	return r, nil
}

// level reports whether a replica has all that its master had.
func (r replication) level(master replication) bool {
	return r.role == "slave" && r.linkUp && r.replID == master.replID && r.offset >= master.offset
}

func (s *server) replication(ctx context.Context) (replication, error) {
	reply, err := s.do(ctx, "INFO", "replication")
	if err != nil {
		return replication{}, err
	}
	r, err := parseReplication(strings.TrimPrefix(reply.Text(), "txt:"))
	if err != nil {
		return r, fmt.Errorf("%s: %w", s.addr, err)
	}
	return r, nil
}

// isMaster reports whether the server says ROLE master.
func (s *server) isMaster(ctx context.Context) (bool, error) {
	reply, err := s.do(ctx, "ROLE")
	if err != nil {
		return false, err
	}
	words, _ := reply.Value.([]any)
	return len(words) > 0 && words[0] == "master", nil
}

// mayNot are commands that the ACL forbids to the user whom we are; none where the server cannot tell (before Redis 7).
func (s *server) mayNot(ctx context.Context, commands ...[]string) (denied []string, err error) {
	who, err := s.do(ctx, "ACL", "WHOAMI")
	if err != nil {
		return nil, nil // there is no ACL, or it hides even that
	}
	var questions [][]string
	for _, words := range commands {
		questions = append(questions, append([]string{"ACL", "DRYRUN", who.Text()}, words...))
	}
	replies, err := s.ask(ctx, questions...)
	if replies == nil {
		return nil, err
	}
	for i, r := range replies {
		if r.Err == nil && r.Text() != "OK" {
			denied = append(denied, commandName(commands[i]))
		}
	}
	return denied, nil
}

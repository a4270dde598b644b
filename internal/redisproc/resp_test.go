package redisproc

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReplies(t *testing.T) {
	tests := []struct {
		name, in string
		want     any
	}{
		{"simple string", "+OK\r\n", "OK"},
		{"empty simple string", "+\r\n", ""},
		{"error", "-ERR no\r\n", ReplyError("ERR no")},
		{"integer", ":-7\r\n", int64(-7)},
		{"bulk", "$5\r\na\r\nb!\r\n", "a\r\nb!"},
		{"empty bulk", "$0\r\n\r\n", ""},
		{"RESP2 null", "$-1\r\n", nil},
		{"RESP2 null array", "*-1\r\n", nil},
		{"null", "_\r\n", nil},
		{"true", "#t\r\n", true},
		{"false", "#f\r\n", false},
		{"double", ",1.5\r\n", 1.5},
		{"infinity", ",-inf\r\n", math.Inf(-1)},
		{"big number", "(349999999999999999999\r\n", "349999999999999999999"},
		{"verbatim", "=7\r\ntxt:abc\r\n", "abc"},
		{"bulk error", "!5\r\nERR x\r\n", ReplyError("ERR x")},
		{"array", "*3\r\n:1\r\n$1\r\na\r\n*0\r\n", []any{int64(1), "a", []any{}}},
		{"error in an array", "*1\r\n-ERR x\r\n", []any{ReplyError("ERR x")}},
		{"set", "~1\r\n+a\r\n", []any{"a"}},
		{"push", ">2\r\n+message\r\n+x\r\n", []any{"message", "x"}},
		{"map", "%1\r\n+k\r\n:1\r\n", []any{"k", int64(1)}},
		{"attribute", "|1\r\n+ttl\r\n:3600\r\n+OK\r\n", "OK"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := newReplyReader(strings.NewReader(tt.in)).read()
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("reply (-want +got):\n%s", d)
			}
		})
	}
}

func TestWhatIsNotAReply(t *testing.T) {
	tests := []struct {
		name, in string
		want     error
	}{
		{"nothing", "", io.ErrUnexpectedEOF},
		{"no line end", "+OK", io.ErrUnexpectedEOF},
		{"newline only", "+OK\n", errProtocol},
		{"empty line", "\r\n", errProtocol},
		{"unknown type", "?x\r\n", errProtocol},
		{"integer that is none", ":x\r\n", errProtocol},
		{"boolean that is none", "#x\r\n", errProtocol},
		{"negative length", "$-2\r\n", errProtocol},
		{"null map", "%-1\r\n", errProtocol},
		{"huge length", "$99999999999999\r\n", errProtocol},
		{"bulk over the bound", fmt.Sprintf("$%d\r\n", maxBulkBytes+1), errProtocol},
		{"short bulk", "$5\r\nabc", io.ErrUnexpectedEOF},
		{"bulk without its end", "$1\r\nabc", errProtocol},
		{"verbatim without a type", "=2\r\nab\r\n", errProtocol},
		{"short array", "*2\r\n:1\r\n", io.ErrUnexpectedEOF},
		{"big array of nothing", "*2000000000\r\n", io.ErrUnexpectedEOF},
		{"too deep", strings.Repeat("*1\r\n", maxDepth+1) + ":1\r\n", errProtocol},
		{"line over the bound", "+" + strings.Repeat("x", maxLineBytes) + "\r\n", errProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := newReplyReader(strings.NewReader(tt.in)).read()
			if !errors.Is(err, tt.want) {
				t.Errorf("reply = %v, %v, want error %v", got, err, tt.want)
			}
		})
	}
}

func TestElementsAreBoundedAcrossLevels(t *testing.T) {
	row := "*1000\r\n" + strings.Repeat("_\r\n", 1000)
	in := "*2000\r\n" + strings.Repeat(row, 2000)
	if _, err := newReplyReader(strings.NewReader(in)).read(); !errors.Is(err, errProtocol) {
		t.Errorf("reading two million elements = %v, want %v", err, errProtocol)
	}
}

// FuzzReply: whatever arrives, the reader ends, and what it accepts as a command's own encoding it
// reads back.
func FuzzReply(f *testing.F) {
	for _, seed := range []string{
		"+OK\r\n", "-ERR x\r\n", ":1\r\n", "$3\r\nabc\r\n", "*2\r\n$1\r\na\r\n_\r\n", "%1\r\n+a\r\n#t\r\n",
		"|1\r\n+a\r\n:1\r\n=5\r\ntxt:a\r\n", ",nan\r\n", "(12\r\n", "!1\r\nx\r\n", ">1\r\n*-1\r\n", "*1000000\r\n*1000000\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := newReplyReader(strings.NewReader(string(in)))
		for range 10 {
			if _, err := r.read(); err != nil {
				break
			}
		}
		args := []string{string(in), ""}
		got, err := newReplyReader(strings.NewReader(string(appendCommand(nil, args)))).read()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]any{args[0], args[1]}, got); d != "" {
			t.Errorf("command read back (-want +got):\n%s", d)
		}
	})
}

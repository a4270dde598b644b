package remote

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache/internal/redisproc"
)

func TestAServerWithoutItsLoginCommandsDoesNotMakeUsTellThePassword(t *testing.T) {
	const password = "hunter2secret"
	for _, renamed := range [][]string{
		{`rename-command HELLO ""`},
		{`rename-command AUTH ""`, `rename-command HELLO ""`},
	} {
		for _, user := range []string{"", "alice"} {
			c := config(startRedis(t, redisproc.Options{Config: renamed}).Addr())
			c.Username, c.Password = user, password
			n, err := Dial(t.Context(), c, heartbeat, &seen{})
			if err == nil {
				n.Abandon()
				continue
			}
			t.Log(err)
			if strings.Contains(err.Error(), password) || len(err.Error()) > maxSaid+20 {
				t.Errorf("%v: %v", renamed, err)
			}
			if _, ok := errors.AsType[*rueidis.RedisError](err); !ok {
				t.Errorf("%v: no longer the server's error: %v", renamed, err)
			}
		}
	}
}

func TestAPasswordIsHiddenWhereverItStands(t *testing.T) {
	cause := errors.New("cause")
	const password = "se\"cret\nword"
	tests := []struct{ name, in, want string }{
		{"nothing to hide", "i/o timeout", "i/o timeout"},
		{"alone", password, "***"},
		{"within", "x" + password + "y", "x***y"},
		{"quoted", `args "se\"cret\nword"`, `args "***"`},
		{"on one line, as Redis repeats it", `'se"cret word' `, "'***' "},
		{"its beginning, where a text was cut", `ERR 'se"cre`, "ERR '***"},
		{"arguments", `unknown command 'AUTH', with args beginning with: 'se"c' 'x'`, "unknown command 'AUTH', with args beginning with: ***"},
		{"a long text", strings.Repeat("é", 200), strings.Repeat("é", 98) + "…"},
		{"lines", "a\nb", "a b"},
	}
	for _, tt := range tests {
		got := redact(&said{text: tt.in, err: cause}, password)
		if got.Error() != tt.want || !errors.Is(got, cause) || len(got.Error()) > maxSaid || !utf8.ValidString(got.Error()) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := redact(cause, ""); got != cause {
		t.Errorf("without a password: %v", got)
	}
}

package evercache

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const hunter2 Secret = "hunter2"

func TestASecretDoesNotLeak(t *testing.T) {
	type login struct {
		User     string
		Password Secret
		More     []Secret
		ByName   map[string]Secret
		Any      any
	}
	holder := login{"app", hunter2, []Secret{hunter2}, map[string]Secret{"x": hunter2}, hunter2}
	logged := func(h func(*bytes.Buffer) slog.Handler) string {
		var b bytes.Buffer
		slog.New(h(&b)).With("with", hunter2).Info("login", "password", hunter2, "holder", holder, "pointer", &holder, slog.Group("g", "p", hunter2))
		return b.String()
	}
	text := map[string]string{
		"slog text": logged(func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) }),
		"slog JSON": logged(func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) }),
		"Print":     fmt.Sprint(hunter2, holder, &holder, []any{hunter2}),
		"Println":   fmt.Sprintln(hunter2),
		"an error":  fmt.Errorf("login %v: %w", hunter2, errors.New("no")).Error(),
		"String":    hunter2.String(),
	}
	for verb := range strings.FieldsSeq("%v %+v %#v %s %q %#q %+q %x %X %d %c %U %t %e %T %10s %-10v %.3s %o %b") {
		text[verb] = fmt.Sprintf(verb, any(hunter2))
		text[verb+" of a struct"] = fmt.Sprintf(verb, any(holder))
		text[verb+" of a pointer"] = fmt.Sprintf(verb, any(&holder))
		text[verb+" of a list"] = fmt.Sprintf(verb, any([]Secret{hunter2}))
	}
	for what, marshal := range map[string]func(any) ([]byte, error){"JSON": json.Marshal, "XML": xml.Marshal} {
		type named struct {
			P Secret
			Q *Secret
		}
		for _, v := range []any{hunter2, []Secret{hunter2}, named{hunter2, new(hunter2)}} {
			data, err := marshal(v)
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			text[fmt.Sprintf("%s of %T", what, v)] = string(data)
		}
	}
	for how, got := range text {
		for _, leak := range []string{"hunter2", "hunter", fmt.Sprintf("%x", "hunter2"), fmt.Sprintf("%X", "hunter2"), "104 117", "unter"} {
			if strings.Contains(got, leak) {
				t.Errorf("%s shows %q in %q", how, leak, got)
				break
			}
		}
	}
}

func TestASecretIsShownAsStars(t *testing.T) {
	for format, want := range map[string]string{"%v": "***", "%+v": "***", "%s": "***", "%q": `"***"`, "%#v": `"***"`, "%5s|": "  ***|"} {
		if got := fmt.Sprintf(format, hunter2); got != want {
			t.Errorf("%s prints %q, want %q", format, got, want)
		}
	}
	if got := fmt.Sprintf("%v|%q|%#v", Secret(""), Secret(""), Secret("")); got != `|""|""` {
		t.Errorf("one that is not set prints %q", got)
	}
	if got := fmt.Sprintf("%+v", struct{ P Secret }{hunter2}); got != "{P:***}" {
		t.Errorf("in a struct it prints %q", got)
	}
	if hunter2.Reveal() != "hunter2" {
		t.Errorf("Reveal = %q", hunter2.Reveal())
	}
	if got, err := json.Marshal(hunter2); string(got) != `"***"` || err != nil {
		t.Errorf("JSON = %s, %v", got, err)
	}
}

// fmt cannot call methods on what is in unexported fields: a client that is
// printed or logged must hold nothing that could be seen.
func TestAClientThatIsPrintedShowsNoSecret(t *testing.T) {
	client := newClient(Options{Addr: noRedis, Password: hunter2, SentinelPassword: hunter2, Username: "app", Logger: quiet}.withDefaults())
	t.Cleanup(client.memory.Close)
	c := cacheOf[string](t, client, "c", Policy{})
	if redis, sentinel := client.one().Config.Secrets(); Secret(redis) != hunter2 || Secret(sentinel) != hunter2 {
		t.Error("the passwords are lost")
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		for _, v := range []any{client, c, struct{ C *Client }{client}, client.opts, client.Health(), client.Stats()} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, "hunter2") || strings.Contains(got, fmt.Sprintf("%x", "hunter2")) {
				t.Errorf("%s of %T shows the password", verb, v)
			}
		}
	}
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("made", "client", client, "options", client.opts)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("made", "client", client, "health", client.Health())
	if strings.Contains(b.String(), "hunter2") {
		t.Error("a log line shows the password")
	}
}

package daemon

import (
	"strings"
	"testing"
)

// What callers and operators entrust to us is found nowhere but where they put it.
func TestNothingSecretIsToldAnywhere(t *testing.T) {
	const token, password, key, value, class = "canary-token-of-all", "canary-password", "canary-key", "canary-value", "canary-class"
	env := append(redisAway(t), "EVERCACHE_TOKEN="+token, "REDIS_PASSWORD="+password, "EVERCACHE_LOG_LEVEL=debug")
	s := serveAPI(t, env...)
	var told strings.Builder
	ask := func(method, path, body string, headers ...string) {
		t.Helper()
		a := s.do(method, path, body, headers...)
		if strings.HasPrefix(path, "/v1/") && method == "GET" && a.StatusCode == 200 {
			return // the value, to whom it belongs
		}
		told.WriteString(a.Status + a.body)
		if err := a.Header.Write(&told); err != nil {
			t.Fatal(err)
		}
	}
	for _, auth := range []string{"Bearer " + token, "Bearer canary-token2", basic("canary-user", token), ""} {
		for _, path := range []string{"/v1/cache/" + class + "/" + key, "/v1/cache/" + class + "/" + key + "%zz", "/v1/cache/Canary-class/" + key, "/v1/cache/" + class + "/" + key + "/" + key, "/" + key} {
			for _, query := range []string{"", "?ttl=60s", "?ttl=" + key, "?" + key + "=" + value, "?prefix=" + key} {
				if strings.Contains(path, "%zz") {
					a := s.rawly("GET", path+query, "")
					told.WriteString(a.body)
					continue
				}
				for _, method := range []string{"PUT", "GET", "HEAD", "DELETE", "POST"} {
					ask(method, path+query, value, "Authorization", auth)
				}
			}
		}
		ask("DELETE", "/v1/cache/"+class+"?prefix="+key, "", "Authorization", auth)
		ask("PUT", "/v1/cache/"+class+"/"+key, value, "Authorization", auth, "Evercache-Min-Durability", "replicated(3)")
		ask("PUT", "/v1/cache/"+class+"/"+key, value, "Authorization", auth, "Evercache-Min-Durability", value)
		ask("GET", "/health", "", "Authorization", auth)
		ask("GET", "/metrics", "", "Authorization", auth)
		ask("GET", "/", "", "Authorization", auth)
	}
	for where, text := range map[string]string{"an answer": told.String(), "the log": s.logs.String()} {
		if i := strings.Index(text, "canary"); i >= 0 {
			t.Errorf("%s tells: …%s…", where, text[max(0, i-200):min(len(text), i+100)])
		}
	}
	if n := strings.Count(s.logs.String(), `"msg":"request"`); n < 100 {
		t.Errorf("only %d requests are in the log: this test proves nothing", n)
	}
}

func TestRequestsAreLoggedAtDebugLevelOnly(t *testing.T) {
	s := serveAPI(t)
	s.do("GET", "/v1/cache/demo/a", "")
	for line := range strings.Lines(s.logs.String()) {
		if strings.Contains(line, `"msg":"request"`) && !strings.Contains(line, `"level":"DEBUG"`) {
			t.Errorf("log: %s", line)
		}
	}
	if !strings.Contains(s.logs.String(), `"route":"cache_key","status":404`) {
		t.Errorf("log: %s", s.logs)
	}
}

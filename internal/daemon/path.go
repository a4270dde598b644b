package daemon

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/evercache/evercache"
)

// target is what a path points at.
type target struct {
	route *route
	class string // still encoded
	key   string // still encoded
}

// rawPath is the path exactly as the client sent it. EscapedPath is that too,
// except where the client left a byte bare that should have been encoded: then
// it encodes the decoded path again, and a %2F within a key would turn into a
// separator.
func rawPath(u *url.URL) string {
	if u.RawPath != "" {
		return u.RawPath
	}
	return u.EscapedPath()
}

const cachePrefix = "/v1/cache/"

// match finds the route of a path. It is done by hand because http.ServeMux
// redirects a//x and a/../b to another path, which here is another key; nil
// means that there is no such route.
func (rs *routes) match(path string) target {
	rest, ok := strings.CutPrefix(path, cachePrefix)
	if !ok {
		return target{route: rs.byPath[path]}
	}
	class, key, hasKey := strings.Cut(rest, "/")
	if !hasKey {
		return target{route: rs.cacheClass, class: class}
	}
	return target{route: rs.cacheKey, class: class, key: key}
}

// parseClass decodes one path segment and checks what comes out.
func parseClass(segment string) (string, *apiError) {
	class, err := url.PathUnescape(segment)
	if err != nil || evercache.ValidClass(class) != nil {
		return "", errBadClass()
	}
	return class, nil
}

// parseKey decodes one path segment into the bytes of a key. Every byte may be
// in a key; a slash must be written as %2F, so that no key is ever split.
func parseKey(segment string) (string, *apiError) {
	if strings.Contains(segment, "/") {
		return "", errBadKey("a key is one path segment: write a slash in it as %2F")
	}
	key, err := url.PathUnescape(segment)
	if err != nil {
		return "", errBadKey("the key has a % that two hexadecimal digits do not follow; write % as %25")
	}
	if key == "" || len(key) > evercache.MaxKeyBytes {
		return "", errBadKey(fmt.Sprintf("a key has 1 to %d bytes", evercache.MaxKeyBytes))
	}
	return key, nil
}

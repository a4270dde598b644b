package origin

import (
	"fmt"
	"strings"
)

// longestText is how much of an error's text is remembered.
const longestText = 16 << 10

// brief is an error as it is remembered, and about how many bytes it takes. One with a long
// text, such as an answer of the origin, keeps the beginning of that, and nothing that it wraps.
func brief(err error) (_ error, bytes int) {
	text := fmt.Sprint(err) // where Error panics that is the text
	if len(text) <= longestText {
		return err, len(text)
	}
	cut := strings.ToValidUTF8(text[:longestText], "")
	return cutError(fmt.Sprintf("%s… (%d bytes)", cut, len(text))), longestText
}

type cutError string

func (e cutError) Error() string { return string(e) }

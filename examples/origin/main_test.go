package main

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// On fake time: what the program prints on an idle machine.
func TestWithEvercacheNoCallFailsAndNoneTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		if err := showOutage(&out, load{callers: 100, keys: 20, phase: 4 * time.Second}); err != nil {
			t.Fatal(err)
		}
		rows := strings.Split(strings.TrimSpace(out.String()), "\n")[4:]
		if len(rows) != 8 {
			t.Fatalf("%d rows:\n%s", len(rows), &out)
		}
		for i, row := range rows {
			cells := strings.Split(row, "|")
			failed, _ := strconv.Atoi(strings.TrimSpace(cells[4]))
			longest, _ := time.ParseDuration(strings.TrimSpace(cells[7]))
			bad := i == 1 || i == 2 // without evercache, while it hangs and fails
			if (failed > 0) != bad {
				t.Errorf("%d calls failed: %s", failed, row)
			}
			if i >= 4 && longest > 120*time.Millisecond {
				t.Errorf("a call took %v: %s", longest, row)
			}
		}
	})
}

func TestWhatIsFilledTogetherIsLoadedAgainApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys = 500
		c := curve{policy: spreadPolicy}
		if err := c.record(keys); err != nil {
			t.Fatal(err)
		}
		if c.waited > 0 || c.peak() == 0 || c.peak() > keys/10 {
			t.Errorf("%d callers waited; at most %d loads in 100 ms", c.waited, c.peak())
		}
		if picture := draw([]curve{c, c}, keys); !strings.HasSuffix(picture, "</svg>\n") {
			t.Errorf("the picture ends with %q", picture[len(picture)-20:])
		}
	})
}

package soak_test

import "testing"

// TestTheJudgeSeesEachFault: a soak that cannot fail would prove nothing.
func TestTheJudgeSeesEachFault(t *testing.T) {
	t.Parallel()
	const gone = deleteEvery
	found := func(version uint64, coherent bool) answer { return answer{true, version, coherent} }
	for name, c := range map[string]struct {
		a           answer
		own         bool
		least, most uint64
		want        fault
	}{
		"the newest":                            {found(5, true), true, 5, 5, fine},
		"one that was written meanwhile":        {found(6, true), true, 5, 6, fine},
		"an older one, own":                     {found(4, false), true, 5, 5, older},
		"an older one, coherent":                {found(4, true), false, 5, 5, stale},
		"an older one, said to be so":           {found(4, false), false, 5, 5, fine},
		"from the future":                       {found(6, false), false, 5, 5, unwritten},
		"no version at all":                     {found(0, false), false, 5, 5, unwritten},
		"a deleted one":                         {found(gone, true), false, gone - 1, gone, undone},
		"one from before a delete, own":         {found(gone-1, false), true, gone, gone + 1, older},
		"nothing, own":                          {answer{}, true, 5, 6, missing},
		"nothing, deleted meanwhile":            {answer{}, true, 5, gone + 1, fine},
		"nothing, deleted before":               {answer{}, true, gone, gone, fine},
		"nothing, written again after a delete": {answer{}, true, gone + 1, gone + 1, missing},
		"nothing, never written":                {answer{}, true, 0, 0, fine},
		"nothing, another's":                    {answer{}, false, 5, 5, fine},
	} {
		if got := judge(c.a, c.own, c.least, c.most); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

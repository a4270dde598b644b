package remote

import "testing"

func TestATraceOfADeleteIsFound(t *testing.T) {
	b := startBed(t)
	for name, tt := range map[string]struct {
		prepare func(b *bed, r Replay)
		want    bool
	}{
		"nothing":                    {prepare: func(*bed, Replay) {}},
		"a tombstone":                {func(b *bed, r Replay) { ask(b.T, b.p, "SET", r.Tomb, "1:it") }, true},
		"something else":             {func(b *bed, r Replay) { ask(b.T, b.p, "RPUSH", r.Tomb, "1:it") }, true},
		"a mark of a prefix":         {func(b *bed, r Replay) { ask(b.T, b.p, "HSET", r.Marks, r.Rest[:1], "1:it") }, true},
		"a mark of the class":        {func(b *bed, r Replay) { ask(b.T, b.p, "HSET", r.Marks, "", "1:it") }, true},
		"a mark of another prefix":   {func(b *bed, r Replay) { ask(b.T, b.p, "HSET", r.Marks, r.Rest+"longer", "1:it") }, false},
		"marks that make no sense":   {func(b *bed, r Replay) { ask(b.T, b.p, "SET", r.Marks, "1") }, true},
		"a mark that makes no sense": {func(b *bed, r Replay) { ask(b.T, b.p, "HSET", r.Marks, r.Rest[:1], "x") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := b.fresh(t)
			r := Replay{Key: "app:c:key", Cond: CondOf("app:", "app:c:key", "me")}
			tt.prepare(b, r)
			deleted, err := b.n.Deleted(t.Context(), []string{"app:d:key", r.Key}, []Cond{CondOf("app:", "app:d:key", ""), CondOf("app:", r.Key, "")}, long)
			if err != nil || deleted[0] || deleted[1] != tt.want {
				t.Errorf("%v, %v, want %v", deleted, err, tt.want)
			}
		})
	}
}

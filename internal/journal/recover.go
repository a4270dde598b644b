package journal

import "log/slog"

// recover gives r what is live, one entry at a time, and forgets what r does not
// keep. The file is as before: what is added is for the fresh one.
func (j *Journal) recover(r Recovery) (added []Entry) {
	all := j.index.list()
	for i := len(all) - 1; i >= 0; i-- {
		k := all[i]
		raw, h, err := readRaw(j.file, j.seed, k)
		if err != nil {
			j.o.Log.Error("a record of the journal cannot be read", slog.Any("error", err))
			continue // renew counts it
		}
		r.Found(Entry{Kind: h.kind, Key: k.key, Payload: raw[recordLen+h.key:], Seq: k.seq})
	}
	for _, k := range all {
		if !r.Kept(k.key) {
			j.index.remove(k.key, k.seq)
		}
	}
	added = r.Added()
	j.noteLocked(added) // nobody else has the journal
	return added
}

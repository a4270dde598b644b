package shard

import (
	"context"

	"github.com/evercache/evercache/internal/kit"
	"github.com/evercache/evercache/internal/outbox"
	"github.com/evercache/evercache/internal/remote"
)

// Of is the shard of an *evercache.Client.
func Of(client any) *Shard { return kit.Of(client).(inside).st.one }

// Found is what a dial tells of a node.
func (sh *Shard) Found(n *remote.Node, h remote.Held) { sh.unconfirmedWrites().Found(n, h) }

// Lost is journaled.lost.
func (j *journaled) Lost(ctx context.Context, held, next uint64, rs []outbox.Record, ps []outbox.Prefix) {
	j.lost(ctx, held, next, rs, ps)
}

const (
	EntryForeign = entryForeign
	EntryRecord  = entryRecord
	ForeignKey   = foreignKey
	MaxGaps      = maxGaps
	TombMinutes  = tombMinutes
)

var (
	AddGap       = addGap
	DecodeEntry  = decodeEntry
	DecodeGaps   = decodeGaps
	EncodeGaps   = encodeGaps
	EncodePrefix = encodePrefix
	EncodeRecord = encodeRecord
	EncodeTaken  = encodeTaken
	RecordKey    = recordKey
	TombBytes    = tombBytes
	Vouched      = vouched
)

func (sh *Shard) Journal() *journaled     { return sh.journal }
func (sh *Shard) Process() string         { return sh.process }
func (sh *Shard) RecallUndone(key string) { sh.recallUndone(key) }

func (j *journaled) LeftPrefix(p outbox.Prefix)     { j.Done(prefixKey(p.Text), p.Since) }
func (j *journaled) KeptPrefix(text string) Pending { return j.prefix(text) }

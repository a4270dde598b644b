package evercache

import "github.com/evercache/evercache/internal/shard"

// one is the shard of all keys of a client under test.
func (c *Client) one() *shard.Shard { return c.store.Single() }

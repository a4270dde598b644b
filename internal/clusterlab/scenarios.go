package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

func names() []string {
	var all []string
	for _, s := range scenarios {
		all = append(all, s.name)
	}
	return all
}

func find(name string) (scenario, bool) {
	i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
	if i < 0 {
		return scenario{}, false
	}
	return scenarios[i], true
}

// scenarios is all of them.
var scenarios = slices.Concat(failovers, restarts, moves, identities)

var failovers = []scenario{
	{
		name: "kill", about: "kill -9 of a master; after its replica was promoted it comes back, empty, and is a replica.",
		promoted: []string{"n3"},
		play: func(e *episode) error {
			return e.steps(
				func() error { return e.kill(e.n(0)) },
				func() error { _, err := e.waitMaster(0, e.n(0)); return err },
				func() error { return e.restart(e.n(0)) },
				e.waitHealthy,
			)
		},
	},
	{
		name: "kill-partial-coverage", about: "kill -9 of a master with cluster-require-full-coverage no: the other shards go on.",
		options: options{partial: true}, promoted: []string{"n3"},
		play: func(e *episode) error {
			return e.steps(
				func() error { return e.kill(e.n(0)) },
				func() error { _, err := e.waitMaster(0, e.n(0)); return err },
			)
		},
	},
	{
		name: "stop", about: "SIGSTOP of a master, SIGCONT a second after its replica was promoted.",
		promoted: []string{"n3"},
		play: func(e *episode) error {
			return e.steps(
				func() error { return e.did(action{What: "stop", On: "n0"}, e.n(0).Pause) },
				func() error { _, err := e.waitMaster(0, e.n(0)); e.sleep(500 * time.Millisecond); return err },
				func() error { return e.did(action{What: "cont", On: "n0"}, e.n(0).Resume) },
				e.waitHealthy,
			)
		},
	},
	{
		name: "stop-cont", about: "SIGSTOP of a master, SIGCONT as soon as another master says fail, before the promotion.",
		promoted: []string{"n3"},
		play: func(e *episode) error {
			return e.steps(
				func() error { return e.did(action{What: "stop", On: "n0"}, e.n(0).Pause) },
				func() error { return e.waitFlag(e.n(1), e.head.Nodes["n0"].ID, "fail") },
				func() error { return e.did(action{What: "cont", On: "n0"}, e.n(0).Resume) },
				func() error { _, err := e.waitMaster(0, e.n(0)); return err },
				e.waitHealthy,
			)
		},
	},
	{
		name: "stop-brief", about: "SIGSTOP of a master for 400 ms: a false alarm, nobody is promoted.",
		play: func(e *episode) error {
			return e.steps(
				func() error { return e.did(action{What: "stop", On: "n0"}, e.n(0).Pause) },
				func() error { e.sleep(400 * time.Millisecond); return nil },
				func() error { return e.did(action{What: "cont", On: "n0"}, e.n(0).Resume) },
				e.waitHealthy,
			)
		},
	},
	{
		name: "planned", about: "CLUSTER FAILOVER on a replica, its master alive.", promoted: []string{"n3"},
		play: func(e *episode) error { return e.handover("failover", redisproc.Planned) },
	},
	{
		name: "takeover", about: "CLUSTER FAILOVER TAKEOVER on a replica, its master alive.", promoted: []string{"n3"},
		play: func(e *episode) error { return e.handover("takeover", redisproc.Takeover) },
	},
	{
		name: "three-masters", about: "3+6: all three masters are killed, one after the other, each when the shard before has a new one.",
		options: options{replicas: 2}, promoted: []string{"n3|n6", "n4|n7", "n5|n8"},
		play: func(e *episode) error {
			for i, slot := range []int{0, 6000, 12000} {
				if err := e.kill(e.n(i)); err != nil {
					return err
				}
				if _, err := e.waitMaster(slot, e.n(i)); err != nil {
					return err
				}
			}
			return nil
		},
	},
	{
		name: "replica-lost-and-back", about: "kill -9 of a replica; it comes back after four seconds.",
		play: func(e *episode) error {
			return e.steps(
				func() error { return e.kill(e.n(3)) },
				func() error { e.sleep(4 * time.Second); return nil },
				func() error { return e.restart(e.n(3)) },
				e.waitHealthy,
			)
		},
	},
}

var restarts = []scenario{
	{
		name: "restart-quick", about: "A master with an append-only file is killed and starts again at once, within the node timeout.",
		options: options{persistent: true},
		play: func(e *episode) error {
			return e.steps(
				func() error { return e.kill(e.n(0)) },
				func() error {
					return e.took(action{What: "restart", On: "n0", Text: "with its data, as the same member"}, func() error { return e.n(0).Start(e.ctx) })
				},
				e.waitHealthy,
			)
		},
	},
	{
		name: "restart-empty", about: "A master without persistence is killed and starts again at once, within the node timeout: it is empty, and its replica becomes empty too.",
		play: func(e *episode) error {
			return e.steps(
				func() error { return e.kill(e.n(0)) },
				func() error { return e.restart(e.n(0)) },
				e.waitHealthy,
			)
		},
	},
	{
		name: "lost-and-back", about: "A master without a replica saves its data, goes on, is killed, and comes back after five seconds from what it had saved.",
		options: options{noReplicas: true},
		play: func(e *episode) error {
			return e.steps(
				func() error {
					return e.did(action{What: "save", On: "n0"}, func() error { _, err := e.n(0).Do(e.ctx, "SAVE"); return err })
				},
				func() error { e.sleep(1500 * time.Millisecond); return nil },
				func() error { return e.kill(e.n(0)) },
				func() error { e.sleep(5 * time.Second); return nil },
				func() error {
					return e.took(action{What: "restart", On: "n0", Text: "with the data that it had saved, as the same member"}, func() error { return e.n(0).Start(e.ctx) })
				},
				e.waitHealthy,
			)
		},
	},
}

var moves = []scenario{
	{
		name: "reshard-classic", about: "Twenty slots with three keys each move from n0 to n1.",
		play: func(e *episode) error {
			return e.steps(
				func() error { return e.fill(0, redisproc.SlotRange{First: 0, Last: 19}) },
				func() error { return e.reshard(0, 1, redisproc.SlotRange{First: 0, Last: 19}, redisproc.Done, "") },
				e.waitHealthy,
			)
		},
	},
	{
		name: "reshard-interrupted", about: "Of five slots the last stops with half of its keys moved, for three seconds; then the move goes on to its end.",
		play: func(e *episode) error {
			return e.steps(
				func() error { return e.fill(0, redisproc.SlotRange{First: 0, Last: 4}) },
				func() error {
					return e.reshard(0, 1, redisproc.SlotRange{First: 0, Last: 4}, redisproc.Half, "stops in slot 4")
				},
				func() error { e.sleep(3 * time.Second); return nil },
				func() error { return e.reshard(0, 1, redisproc.SlotRange{First: 4, Last: 4}, redisproc.Done, "") },
				e.waitHealthy,
			)
		},
	},
	{
		name: "reshard-source-killed", about: "The source of a move is killed with half of the keys moved. Its replica is promoted and knows of no move. The target says cluster_state:fail until the move is given up by hand.",
		promoted: []string{"n3"},
		play: func(e *episode) error {
			return e.steps(
				func() error { return e.fill(0, redisproc.SlotRange{First: 0, Last: 0}) },
				func() error {
					return e.reshard(0, 1, redisproc.SlotRange{First: 0, Last: 0}, redisproc.Half, "stops in slot 0")
				},
				func() error { return e.kill(e.n(0)) },
				func() error { _, err := e.waitMaster(0, e.n(0)); e.sleep(2 * time.Second); return err },
				func() error {
					return e.took(action{What: "abandon", Slots: "0"}, func() error { return e.cluster.Abandon(e.ctx, redisproc.SlotRange{}) })
				},
				func() error { return e.waitState(e.n(1), "ok") },
			)
		},
	},
	{
		name: "reshard-target-killed", about: "A slot has moved from n0 to n1; n1 is killed at once, before its replica can have the keys for certain.",
		promoted: []string{"n4"},
		play: func(e *episode) error {
			return e.steps(
				func() error { return e.fill(0, redisproc.SlotRange{First: 0, Last: 0}) },
				func() error { return e.reshard(0, 1, redisproc.SlotRange{}, redisproc.Done, "") },
				func() error { return e.kill(e.n(1)) },
				func() error { _, err := e.waitMaster(6000, e.n(1)); return err },
			)
		},
	},
	{
		name: "there-and-back", about: "A slot moves from n0 to n1 and back within a few milliseconds.",
		play: func(e *episode) error {
			return e.steps(
				func() error {
					return e.took(action{What: "there-and-back", On: "n0", To: "n1", Slots: "0-0"}, func() error {
						return e.cluster.ThereAndBack(e.ctx, e.n(0).Process, e.n(1).Process, 0)
					})
				},
				e.waitHealthy,
			)
		},
	},
	{
		name: "reshard-atomic", about: "Twenty slots with three keys each move from n0 to n1 as one.",
		options: options{atomic: true},
		play: func(e *episode) error {
			return e.steps(
				func() error { return e.fill(0, redisproc.SlotRange{First: 0, Last: 19}) },
				func() error {
					return e.took(action{What: "reshard-atomic", On: "n0", To: "n1", Slots: "0-19"}, func() error {
						return e.cluster.AtomicReshard(e.ctx, e.n(0).Process, e.n(1).Process, redisproc.SlotRange{First: 0, Last: 19})
					})
				},
				e.waitHealthy,
			)
		},
	},
	{
		name: "stolen-slot", about: "n1 takes slot 0 (SETSLOT NODE, BUMPEPOCH) and nobody else is told.",
		play: func(e *episode) error {
			return e.steps(
				func() error { return e.fill(0, redisproc.SlotRange{}) },
				func() error {
					return e.took(action{What: "steal", On: "n1", Slots: "0"}, func() error { return e.cluster.StealSlot(e.ctx, e.n(1).Process, 0) })
				},
				e.waitHealthy,
			)
		},
	},
}

var identities = []scenario{
	{
		name: "fresh-idle", about: "A cluster that was just made: nothing happens for six seconds. currentEpoch stands above the epochs of all masters for ever.",
		play: func(e *episode) error {
			e.note(action{What: "nothing"})
			e.sleep(6 * time.Second)
			return nil
		},
	},
	{
		name: "replaced", about: "A master's process is replaced at once by a new node at its address. The others drop the address (noaddr) and do not call it failed: nobody is promoted.",
		play: func(e *episode) error {
			return e.steps(
				func() error { return e.replace(e.n(0)) },
				func() error { e.sleep(6 * time.Second); return nil },
			)
		},
	},
	{
		name: "foreign-node", about: "A master is killed and its replica promoted. Then a node of another cluster is at the dead one's address: it owns all slots, under a high epoch.",
		promoted: []string{"n3"},
		play: func(e *episode) error {
			return e.steps(
				func() error { return e.kill(e.n(0)) },
				func() error { _, err := e.waitMaster(0, e.n(0)); return err },
				func() error { return e.foreign(e.n(0)) },
				func() error { e.sleep(4 * time.Second); return nil },
			)
		},
	},
	{
		name: "foreign-node-at-once", about: "As foreign-node, but the node of another cluster is there before anybody has missed the master: nobody is promoted.",
		play: func(e *episode) error {
			return e.steps(
				func() error { return e.foreign(e.n(0)) },
				func() error { e.sleep(6 * time.Second); return nil },
			)
		},
	},
	{
		name: "rebuilt", about: "The cluster is destroyed by CLUSTER RESET HARD on every node, and another one is made of the same processes: all ids are new.",
		play: func(e *episode) error {
			return e.steps(
				func() error {
					return e.took(action{What: "reset"}, func() error { return e.cluster.Reset(e.ctx) })
				},
				func() error { e.sleep(500 * time.Millisecond); return nil },
				func() error {
					return e.took(action{What: "rebuild"}, func() error { return e.cluster.Rebuild(e.ctx) })
				},
			)
		},
	},
	{
		name: "two-clusters", about: "Two clusters that know nothing of each other, n0 to n5 and o0 to o2, as if the seeds were of both.",
		options: options{twice: true},
		play: func(e *episode) error {
			e.note(action{What: "nothing"})
			e.sleep(3 * time.Second)
			return nil
		},
	},
}

// steps does one thing after the other.
func (e *episode) steps(all ...func() error) error {
	for _, step := range all {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (e *episode) handover(what string, how redisproc.Handover) error {
	return e.steps(
		func() error {
			return e.did(action{What: what, On: "n3"}, func() error { return e.cluster.Failover(e.ctx, e.n(3).Process, how) })
		},
		func() error { _, err := e.waitMaster(0, e.n(0)); return err },
		e.waitHealthy,
	)
}

// fill writes three keys in each slot. It is before the fault.
func (e *episode) fill(on int, slots redisproc.SlotRange) error {
	for s := slots.First; s <= slots.Last; s++ {
		for k := range 3 {
			if _, err := e.n(on).Do(e.ctx, "SET", fmt.Sprintf("{%s}%d", redisproc.Tag(s), k), "v"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *episode) reshard(from, to int, slots redisproc.SlotRange, until redisproc.Step, text string) error {
	a := action{What: "reshard", On: e.n(from).name, To: e.n(to).name, Slots: fmt.Sprintf("%d-%d", slots.First, slots.Last), Text: text}
	return e.took(a, func() error {
		return e.cluster.Reshard(e.ctx, e.n(from).Process, e.n(to).Process, slots, until)
	})
}

func (e *episode) replace(n node) error {
	e.strangers = append(e.strangers, n.name)
	return e.took(action{What: "replace", On: n.name, Text: "another process, without data and in no cluster"}, func() error {
		return e.cluster.Replace(e.ctx, n.Process)
	})
}

// foreign puts a node of another cluster at the address of n.
func (e *episode) foreign(n node) error {
	if err := e.replace(n); err != nil {
		return err
	}
	return e.took(action{What: "foreign", On: n.name, Text: "it becomes a cluster of its own, with all slots and epoch 900"}, func() error {
		if _, err := n.Do(e.ctx, "CLUSTER", "SET-CONFIG-EPOCH", "900"); err != nil {
			return err
		}
		_, err := n.Do(e.ctx, "CLUSTER", "ADDSLOTSRANGE", "0", fmt.Sprint(redisproc.Slots-1))
		return err
	})
}

// waitFlag waits until asked shows the node id with a flag.
func (e *episode) waitFlag(asked node, id, flag string) error {
	return e.until("flag "+flag, func() bool {
		reply, err := asked.Do(e.ctx, "CLUSTER", "NODES")
		if err != nil {
			return false
		}
		for l := range strings.Lines(fmt.Sprint(reply)) {
			f := strings.Fields(l)
			if len(f) > 2 && f[0] == id && slices.Contains(strings.Split(f[2], ","), flag) {
				return true
			}
		}
		return false
	})
}

func (e *episode) waitState(asked node, state string) error {
	return e.until("cluster_state:"+state, func() bool {
		reply, err := asked.Do(e.ctx, "CLUSTER", "INFO")
		return err == nil && strings.Contains(fmt.Sprint(reply), "cluster_state:"+state)
	})
}

func (e *episode) until(what string, ok func() bool) error {
	ctx, cancel := context.WithTimeout(e.ctx, tooLong)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

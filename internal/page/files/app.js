import { ago, bytes, clock, count, duration, element, fact, rates, share, show, table, timeline } from './draw.js';

let heard = 0; // when the last snapshot came, by this machine's clock
let last = null;
const perSecond = []; // reads, of the last two minutes

function update(s) {
  const redis = s.health.redis;
  const now = Date.parse(s.at);
  heard = Date.now();
  document.getElementById('lost').hidden = true;
  status(s.health.status);
  show('line', `${redis.message}${redis.since ? `, ${redis.state} since ${clock(redis.since)}` : ''}`);
  show('findings', ...findings(s.health.findings));
  show('redis', ...facts(redis, s));
  show('topology', ...topology(redis));
  failovers((redis.sentinel ?? redis.cluster)?.failovers ?? [], Date.parse(s.started), now);
  show('waits', ...waits(redis));
  traffic(s);
  show('memory', ...memory(s));
  const denylist = s.health.revocations;
  document.getElementById('revocations-section').hidden = !denylist;
  if (denylist) show('revocations', ...revoked(denylist));
  show('about', `version ${s.version}, running for ${duration((now - Date.parse(s.started)) / 1000)}, ${s.goroutines} goroutines`);
  last = s;
}

function status(word) {
  const e = document.getElementById('status');
  if (e.dataset.status === word) return; // a live region speaks at each change
  e.dataset.status = word;
  e.textContent = word === 'lost' ? 'no answer' : word;
  document.title = word === 'up' ? 'evercache' : `${e.textContent}: evercache`;
}

function findings(all) {
  if (all.length === 0) return [element('li', {}, element('p', { class: 'good' }, 'Nothing. All is well.'))];
  const rank = { error: 0, warning: 1, info: 2 };
  return [...all].sort((a, b) => rank[a.severity] - rank[b.severity]).map((f) => element('li', { 'data-severity': f.severity },
    element('p', { class: 'title' }, `${f.title} `, element('code', {}, `${f.severity}: ${f.code}`)),
    f.detail ? element('p', {}, f.detail) : null,
    f.fix ? element('p', { class: 'fix' }, `What to do: ${f.fix}`) : null));
}

function facts(redis, s) {
  const list = [
    fact('mode', redis.mode === redis.requestedMode ? redis.mode : `${redis.mode}, asked for ${redis.requestedMode}`),
    fact('connected', redis.connected ? 'yes' : 'no', redis.connected ? 'good' : 'warn'),
  ];
  if (redis.master) list.push(fact('master', redis.master));
  if (redis.cause) list.push(fact('why Redis is not used', redis.cause, 'warn'));
  if (redis.sentinel) {
    const q = redis.sentinel.quorum;
    list.push(
      fact('sentinels that answer', `${q.reachable} of ${q.known}`, q.reachable < q.known ? 'warn' : null),
      fact('a failover is possible', redis.sentinel.canFailOver ? 'yes' : 'no', redis.sentinel.canFailOver ? 'good' : 'bad'),
      fact('config epoch', redis.sentinel.epoch));
  }
  if (redis.cluster) {
    const c = redis.cluster;
    list.push(
      fact('nodes that answer', `${c.nodes.reachable} of ${c.nodes.known}`, c.nodes.reachable < c.nodes.known ? 'warn' : null),
      fact('slots without an owner', count(c.slots.unowned), c.slots.unowned ? 'bad' : null),
      fact('slots that move', count(c.slots.moving)));
  }
  list.push(
    fact('Redis answers within', s.redis.p99Ms === null ? '–' : `${s.redis.medianMs} ms (half), ${s.redis.p99Ms} ms (99 %)`),
    fact('Redis was away for', duration(s.degradedSeconds)));
  return list;
}

function topology(redis) {
  const tables = [];
  if (redis.sentinel) {
    tables.push(table('The nodes', ['address', 'role', 'answers', 'link', 'behind'], redis.sentinel.nodes.map((n) => [
      n.address, n.role === 'master' && !n.reachable && n.address !== redis.master ? 'was master' : n.role, yes(n.reachable), n.link ?? '', n.lagBytes === undefined ? '' : `${bytes(n.lagBytes)}${n.lagSeconds ? `, ${duration(n.lagSeconds)}` : ''}`])));
    tables.push(table('The sentinels', ['address', 'answers', 'names as master', 'epoch', ''], redis.sentinel.sentinelNodes.map((n) => [
      n.address, yes(n.reachable), n.names ?? '', n.epoch, { text: n.tilt ? 'TILT: it does nothing' : n.error ?? '', mood: 'warn', wrap: true }])));
  }
  if (redis.cluster) {
    tables.push(table(`${redis.cluster.shardCount} shards`, ['shard', 'master', 'state', 'slots', 'replicas'], redis.cluster.shards.map((s) => [
      s.number, s.master, { text: s.state === 'connected' ? s.stage : `${s.state}, ${s.stage}`, mood: s.state === 'connected' && s.stage === 'healthy' ? 'good' : 'warn' }, count(s.slots), { text: s.replicas.join(', ') || 'none', mood: s.replicas.length ? null : 'warn', wrap: true }])));
    if (redis.cluster.unreachable.length) {
      tables.push(table('Nodes that do not answer', ['address', 'why'], redis.cluster.unreachable.map((n) => [n.address, { text: n.error ?? '', wrap: true }])));
    }
  }
  return tables;
}

const yes = (is) => ({ text: is ? 'yes' : 'no', mood: is ? 'good' : 'bad' });

function failovers(all, started, now) {
  const from = Math.min(now - 600_000, Math.max(started, now - 86_400_000, ...all.slice(0, 1).map((f) => Date.parse(f.at) - 60_000)));
  const place = document.getElementById('timeline');
  place.replaceChildren(...(all.length ? [timeline(all, from, now, place.clientWidth)] : []));
  if (all.length === 0) {
    show('failovers', element('p', { class: 'soft' }, 'None since the start.'));
    return;
  }
  show('failovers', table('The last ones, newest first', ['at', 'from', 'to', 'cause', 'without a master', 'writes sent again', 'epoch'], [...all].reverse().map((f) => [
    new Date(f.at).toISOString().replace('T', ' ').slice(0, 19), f.from, f.to, f.cause, duration(f.blackoutMs / 1000), count(f.replayed), f.epoch])));
}

function waits(redis) {
  const o = redis.outbox, r = redis.recovery;
  return [
    fact('for a master', `${count(o.entries)} (${bytes(o.bytes)})`, o.entries ? 'warn' : null),
    fact('the oldest since', o.entries ? duration(o.oldestSeconds) : '–'),
    fact('not yet on the replicas', `${count(r.unconfirmed)} (${bytes(r.unconfirmedBytes)})`),
    fact('kept of the last minute', `${count(r.ring)} (${bytes(r.ringBytes)})`),
    fact('sent again after a failover', count(r.uncovered)),
    fact('given up: order unknown', count(r.invalidated + r.evicted), r.invalidated + r.evicted ? 'warn' : null),
  ];
}

function traffic(s) {
  const r = s.reads, all = r.memory + r.redis + r.misses + r.errors;
  if (last !== null) {
    const before = last.reads, seconds = (Date.parse(s.at) - Date.parse(last.at)) / 1000;
    const since = all - (before.memory + before.redis + before.misses + before.errors);
    if (seconds > 0 && since >= 0) perSecond.push(since / seconds);
    if (perSecond.length > 240) perSecond.shift();
  }
  show('traffic',
    fact('reads', count(all)),
    fact('from memory', share(r.memory, all)),
    fact('from Redis', share(r.redis, all)),
    fact('misses', share(r.misses, all)),
    fact('stale', count(r.stale)),
    fact('errors', count(r.errors), r.errors ? 'warn' : null));
  const smooth = [];
  for (let i = 0; i + 1 < perSecond.length; i += 2) smooth.push((perSecond[i] + perSecond[i + 1]) / 2);
  const place = document.getElementById('rate');
  place.replaceChildren(...(smooth.length > 1 ? [rates(smooth, place.clientWidth)] : []));
}

function memory(s) {
  const m = s.memory, l = s.loads;
  return [
    fact('entries', count(m.entries)),
    fact('bytes', `${bytes(m.bytes)} of ${bytes(m.capacity)}`),
    fact('announced by Redis', s.health.redis.feed.on ? 'yes' : 'no', s.health.redis.feed.on ? 'good' : 'warn'),
    fact('loads', `${count(l.ok)}, ${count(l.failed)} failed`, l.failed ? 'warn' : null),
    fact('loads ahead', count(l.refreshed)),
    fact('callers that shared a load', count(l.shared)),
  ];
}

function revoked(d) {
  return [
    fact('entries', count(d.entries)),
    fact('complete', d.ready ? 'yes' : 'not yet', d.ready ? 'good' : 'bad'),
    fact('behind by', d.lagMs === null ? '–' : duration(d.lagMs / 1000)),
    fact('not yet safe', count(d.unconfirmed), d.unconfirmed ? 'warn' : null),
  ];
}

const stream = new EventSource('page/events');
stream.onmessage = (e) => update(JSON.parse(e.data));

setInterval(() => {
  if (stream.readyState === EventSource.CLOSED) location.reload(); // the browser has given up, perhaps for want of a token
}, 15_000);

setInterval(() => {
  const silent = Date.now() - heard;
  if (heard === 0 || silent < 3000) return;
  status('lost');
  const lost = document.getElementById('lost');
  lost.textContent = `This page has not heard from evercache for ${duration(silent / 1000)}. What is below is of ${clock(heard)}.`;
  lost.hidden = false;
}, 500);

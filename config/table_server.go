package config

import (
	"log/slog"
	"slices"
	"time"

	"github.com/evercache/evercache"
)

// accessSettings say who may ask.
var accessSettings = slices.Concat(
	tokenSettings("EVERCACHE_TOKEN", "a-long-random-word", "Bearer token for everything but `/livez`, `/readyz` and `/health`.",
		func(d *draft) *Token { return &d.server.Tokens.All }),
	tokenSettings("EVERCACHE_READ_TOKEN", "a-long-random-word", "Token for reading values, and for checking tokens against the denylist.",
		func(d *draft) *Token { return &d.server.Tokens.Read }),
	tokenSettings("EVERCACHE_WRITE_TOKEN", "a-long-random-word", "Token for writing and deleting keys and prefixes, and for reading.",
		func(d *draft) *Token { return &d.server.Tokens.Write }),
	tokenSettings("EVERCACHE_REVOKE_TOKEN", "a-long-random-word", "Token for revoking tokens, and for checking them.",
		func(d *draft) *Token { return &d.server.Tokens.Revoke }),
	tokenSettings("EVERCACHE_METRICS_TOKEN", "a-long-random-word", "Token for `/metrics` and the page at `/`.",
		func(d *draft) *Token { return &d.server.Tokens.Metrics }),
	[]setting{
		{
			name: "EVERCACHE_INSECURE", group: "Access", def: "false", example: "true",
			meaning: "Run open: accept anyone on an address that others can reach.",
			parse:   to(func(d *draft) *bool { return &d.server.Insecure }, boolean),
		},
		{
			name: "EVERCACHE_HOSTS", group: "Access", unset: "loopback only", example: "cache.example,10.0.0.7",
			meaning: "Names, without ports, that a `Host` header may carry besides localhost, 127.0.0.1 and [::1]; at most 100.",
			parse:   to(func(d *draft) *[]string { return &d.server.Hosts }, hosts),
		},
	},
)

var serverSettings = []setting{
	{
		name: "EVERCACHE_LISTEN", group: "Server", def: "127.0.0.1:3000", example: ":3000",
		meaning: "Where `evercache serve` listens. Any address but loopback needs a token (see [Access](#access)), or `EVERCACHE_INSECURE=true`; without a host it is every address.",
		parse:   to(func(d *draft) *string { return &d.server.Listen }, listen),
	},
	{
		name: "EVERCACHE_TLS_CERT_FILE", group: "Server", unset: "no TLS", example: "/etc/evercache/server.pem",
		meaning: "PEM file with the certificate to serve with; needs `EVERCACHE_TLS_KEY_FILE`.",
		parse:   to(func(d *draft) *string { return &d.server.TLSCertFile }, text),
	},
	{
		name: "EVERCACHE_TLS_KEY_FILE", group: "Server", unset: "no TLS", example: "/etc/evercache/server.key",
		meaning: "PEM file with its key.",
		parse:   to(func(d *draft) *string { return &d.server.TLSKeyFile }, text),
	},
	{
		name: "EVERCACHE_LOG_LEVEL", group: "Server", def: "info", example: "debug",
		meaning: "The least that is logged: `debug`, `info`, `warn` or `error`.",
		parse:   to(func(d *draft) *slog.Level { return &d.server.LogLevel }, level),
	},
	{
		name: "EVERCACHE_LOG_FORMAT", group: "Server", def: "auto", example: "json",
		meaning: "`json`, `text`, or `auto`: text on a terminal, else JSON.",
		parse:   to(func(d *draft) *string { return &d.server.LogFormat }, choice("auto", "json", "text")),
	},
	{
		name: "EVERCACHE_INSPECT_EVERY", group: "Server", def: "10s", example: "0",
		meaning: "How often 16 entries of each class are compared with Redis ([inspect](guide/inspect.md)); 0: never; to 24h.",
		parse:   to(func(d *draft) *time.Duration { return &d.server.InspectEvery }, duration(0, 24*time.Hour)),
	},
	{
		name: "EVERCACHE_ADMIN_LISTEN", group: "Server", unset: "no admin listener", example: "127.0.0.1:3001",
		meaning: "Where profiles, the level of the log and the flight recorder are ([operations](operations.md#looking-into-a-running-process)). Loopback only; there is no token.",
		parse:   to(func(d *draft) *string { return &d.server.AdminListen }, loopbackListen),
	},
	{
		name: "EVERCACHE_AUDIT_LOG", group: "Server", unset: "no audit log", example: "/var/log/evercache/audit.log",
		meaning: "File, of this process alone, for the [audit log](guide/audit.md): who has deleted prefixes, revoked tokens or was turned away, as JSON lines that cannot be changed unnoticed.",
		parse:   to(func(d *draft) *string { return &d.server.AuditLog }, text),
	},
	{
		name: "EVERCACHE_MAX_BODY", group: "Server", def: "1MiB", example: "256KiB",
		meaning: "The largest body of a request, and so the largest value. A longer value in Redis is not read; 1 byte to 512MiB.",
		parse:   to(func(d *draft) *int64 { return &d.server.MaxBodyBytes }, size(1, 512<<20)),
	},
	{
		name: "EVERCACHE_BODY_MEMORY", group: "Server", unset: "16MiB, or twice `EVERCACHE_MAX_BODY` if that is more", example: "8MiB",
		meaning: "What the bodies of requests and answers under way may hold in memory together, beside 4 KiB each. Beyond it they wait, the slow ones are cut off, and further ones are answered 503 `too_many_bodies`; `EVERCACHE_MAX_BODY` to 64GiB.",
		parse:   to(func(d *draft) *int64 { return &d.server.BodyMemory }, size(64<<10, 64<<30)),
	},
	{
		name: "EVERCACHE_DRAIN_TIMEOUT", group: "Server", def: "10s", example: "25s",
		meaning: "How long the end of the process may take, from the signal on; 1ms to 10m.",
		parse:   to(func(d *draft) *time.Duration { return &d.server.DrainTimeout }, duration(time.Millisecond, 10*time.Minute)),
	},
	{
		name: "EVERCACHE_SHUTDOWN_DELAY", group: "Server", unset: "0s on loopback, else 3s", example: "5s",
		meaning: "How long, from the signal on, requests are still taken and answered while `/readyz` says 503, so that a load balancer can look elsewhere. It is part of `EVERCACHE_DRAIN_TIMEOUT` and at most half of it, which also lowers the default; 0 to 5m.",
		parse:   to(func(d *draft) *time.Duration { return &d.server.ShutdownDelay }, duration(0, 5*time.Minute)),
	},
	{
		name: "EVERCACHE_READY_WAIT", group: "Server", def: "0s", example: "30s",
		meaning: "How long `/readyz` says 503 after the start while no Redis has been reached. Where Redis or the sentinels refuse the settings (login, TLS, master name, …) it says so until that is mended, however long: a wrong password stops a rollout. 0: it does not wait; to 10m.",
		parse:   to(func(d *draft) *time.Duration { return &d.server.ReadyWait }, duration(0, 10*time.Minute)),
	},
	{
		name: "EVERCACHE_REVOCATIONS", group: "Server", def: "auto", example: "required",
		meaning: "The token denylist: `auto`, which begins with the first revocation or check, and is \"unknown\" until the list has been read then; `on`, from the start of the process on; `required`, which also holds `/readyz` at 503 until the list has been read once, and believes no list in Redis without a marker (`evercache revoke init`); or `off`.",
		parse:   to(func(d *draft) *string { return &d.server.Revocations }, choice(RevocationsAuto, RevocationsOn, RevocationsRequired, RevocationsOff)),
	},
	{
		name: "EVERCACHE_REVOCATIONS_MAX_LAG", group: "Server", def: "15s", example: "60s",
		meaning: "How old the knowledge behind \"not revoked\" may be before it is \"unknown\"; 2s to 24h.",
		parse:   to(func(d *draft) *time.Duration { return &d.server.RevocationsMaxLag }, duration(2*time.Second, 24*time.Hour)),
	},
	{
		name: "EVERCACHE_REVOCATIONS_ON_UNKNOWN", group: "Server", def: "deny", example: "allow",
		meaning: "What a check decides when nobody can know: `deny` or `allow`.",
		parse:   to(func(d *draft) *string { return &d.server.RevocationsOnUnknown }, choice("deny", "allow")),
	},
	{
		name: "EVERCACHE_REVOCATIONS_MAX_LIFE", group: "Server", def: "744h", example: "24h",
		meaning: "The longest life of a token: a revocation that expires later is refused; 1m to 87600h.",
		parse:   to(func(d *draft) *time.Duration { return &d.server.RevocationsMaxLife }, duration(time.Minute, 87600*time.Hour)),
	},
	{
		name: "EVERCACHE_REVOCATIONS_MAX_ENTRIES", group: "Server", def: "10000000", example: "1000000",
		meaning: "How many revocations the process holds, at about 55 bytes each in memory. Beyond it a revocation is refused, and a list in Redis that does not fit is unknown. The same in every process; 1 to 1000000000.",
		parse:   to(func(d *draft) *int { return &d.server.RevocationsMaxEntries }, count(1, 1_000_000_000)),
	},
	{
		name: "EVERCACHE_REVOCATIONS_KEY", group: "Server", unset: "none", example: "a-long-random-word", secret: true,
		meaning: "The key with which every id of the denylist is hashed. Whoever reads Redis and does not know this key cannot test guessed ids. At least 16 bytes; the same in every process, for as long as the list exists (see the [guide](guide/revocation.md#the-key)).",
		parse:   to(func(d *draft) *evercache.Secret { return &d.server.RevocationsKey }, revocationsKey),
	},
	{
		name: "EVERCACHE_REVOCATIONS_KEY_FILE", group: "Server", unset: "none", example: "/run/secrets/evercache-revocations-key",
		meaning: "A file that holds it instead. It is read at the start only.",
		parse:   to(func(d *draft) *string { return &d.revocationsKeyFile }, text),
	},
	{
		name: "EVERCACHE_JOURNAL_DIR", group: "Server", unset: "no journal", example: "/var/lib/evercache",
		meaning: "Folder, of this process alone, for a file of the writes that wait for Redis: they survive the end of the process. Without it they wait in memory.",
		parse:   to(func(d *draft) *string { return &d.journalDir }, text),
	},
}

var cacheSettings = []setting{
	{
		name: "EVERCACHE_TTL", group: "Cache", def: "1h", example: "10m",
		meaning: "How long a value lives when a request does not say; at most `EVERCACHE_MAX_TTL`, which also lowers the default.",
		parse:   to(func(d *draft) *time.Duration { return &d.ttl }, duration(time.Millisecond, evercache.MaxTTL)),
	},
	{
		name: "EVERCACHE_MAX_TTL", group: "Cache", def: "720h", example: "24h",
		meaning: "The longest life that a request may ask for; 1ms to 8760h.",
		parse:   to(func(d *draft) *time.Duration { return &d.server.MaxTTL }, duration(time.Millisecond, evercache.MaxTTL)),
	},
	{
		name: "EVERCACHE_STALE", group: "Cache", def: "0s", example: "2h",
		meaning: "How long past its life a value is kept in memory, served only while Redis cannot be asked; at most 8760h.",
		parse:   to(func(d *draft) *time.Duration { return &d.stale }, duration(0, evercache.MaxTTL)),
	},
	{
		name: "EVERCACHE_L1_TTL", group: "Cache", unset: "its life, while changes are announced; else 5s", example: "1s",
		meaning: "How long a value is served from memory without asking Redis; at most `EVERCACHE_TTL`. When it is not set, a value is served as long as Redis announces what others change (invalidation feed), and for 5s while it does not. 0 asks every time.",
		parse:   to(func(d *draft) *time.Duration { return &d.l1TTL }, duration(0, evercache.MaxTTL)),
	},
	{
		name: "EVERCACHE_MEMORY", group: "Cache", def: "32MiB", example: "256MiB",
		meaning: "Memory for cached values; 64KiB to 1024GiB. The default is lower where the process may have less than 128 MiB: see [Memory](#memory).",
		parse:   to(func(d *draft) *int64 { return &d.memory }, size(64<<10, 1<<40)),
	},
	{
		name: "EVERCACHE_OUTBOX_MEMORY", group: "Cache", def: "8MiB", example: "64MiB",
		meaning: "Memory for writes that wait for Redis; 64KiB to 1024GiB. Beyond that, only a delete of the key is kept. Deletes of prefixes may take as much again, and so may writes that are not confirmed yet. The default is lower where the process may have less than 128 MiB.",
		parse:   to(func(d *draft) *int64 { return &d.outboxMemory }, size(64<<10, 1<<40)),
	},
	{
		name: "EVERCACHE_RING_MEMORY", group: "Cache", def: "16MiB", example: "64MiB",
		meaning: "Memory for confirmed writes, which are sent again when Redis comes back with older data; 64KiB to 1024GiB. Beyond that, the oldest are dropped. The default is lower where the process may have less than 256 MiB.",
		parse:   to(func(d *draft) *int64 { return &d.ringMemory }, size(64<<10, 1<<40)),
	},
	{
		name: "EVERCACHE_RING_AGE", group: "Cache", def: "60s", example: "5m",
		meaning: "How long a confirmed write is kept for that; at most 5m. 0 keeps none.",
		parse:   to(func(d *draft) *time.Duration { return &d.ringAge }, duration(0, evercache.MaxRingAge)),
	},
	{
		name: "EVERCACHE_DIAL_TIMEOUT", group: "Cache", def: "300ms", example: "1s",
		meaning: "Bounds making a connection to Redis, TLS and login included; 1ms to 1m, as are the next two.",
		parse:   to(func(d *draft) *time.Duration { return &d.dialTimeout }, duration(time.Millisecond, time.Minute)),
	},
	{
		name: "EVERCACHE_READ_TIMEOUT", group: "Cache", def: "100ms", example: "50ms",
		meaning: "Bounds one read from Redis: the longest that a read waits for a Redis that hangs.",
		parse:   to(func(d *draft) *time.Duration { return &d.readTimeout }, duration(time.Millisecond, time.Minute)),
	},
	{
		name: "EVERCACHE_WRITE_TIMEOUT", group: "Cache", def: "250ms", example: "500ms",
		meaning: "Bounds one write to Redis.",
		parse:   to(func(d *draft) *time.Duration { return &d.writeTimeout }, duration(time.Millisecond, time.Minute)),
	},
}

package config

import "github.com/evercache/evercache"

const (
	maxDB = 1_000_000
	// trusted is the default of REDIS_TLS_CA_FILE in words.
	trusted = "those the system trusts"
)

var redisSettings = []setting{
	{
		name: "REDIS_URL", group: "Redis", unset: "none", example: "rediss://shop:secret@redis.example:6379/0", secret: true,
		meaning: "Where Redis is, in one value: `redis://user:password@host:port/db`, or `rediss://` for TLS. User, password, port and database may be left out. " +
			"Beside it `REDIS_HOST` and `REDIS_PORT` are a fault, and so is a user, a password or a database that the URL has too. Unix sockets are not supported.",
		parse: to(func(d *draft) *target { return &d.url }, redisURL),
	},
	{
		name: "REDIS_HOST", group: "Redis", def: "localhost", example: "redis.example",
		meaning: "Name or address of the server; IPv6 with or without brackets.",
		parse:   to(func(d *draft) *string { return &d.host }, host),
	},
	{
		name: "REDIS_PORT", group: "Redis", def: "6379", example: "6380",
		meaning: "Its port.",
		parse:   to(func(d *draft) *int { return &d.port }, port),
	},
	{
		name: "REDIS_USERNAME", group: "Redis", unset: "the default user", example: "shop",
		meaning: "The ACL user to log in as. It needs a password.",
		parse:   to(func(d *draft) *string { return &d.username }, text),
	},
	{
		name: "REDIS_PASSWORD", group: "Redis", unset: "none", example: "secret", secret: true,
		meaning: "The password to log in with.",
		parse:   to(func(d *draft) *evercache.Secret { return &d.password }, secret),
	},
	{
		name: "REDIS_PASSWORD_FILE", group: "Redis", unset: "none", example: "/run/secrets/redis-password",
		meaning: "A file that holds the password instead. It is checked at the start and read at every login, so a rotated password needs no restart.",
		parse:   to(func(d *draft) *string { return &d.passwordFile }, text),
	},
	{
		name: "REDIS_DB", group: "Redis", def: "0", example: "2",
		meaning: "Index of the database. In Cluster mode there is only 0.",
		parse:   to(func(d *draft) *int { return &d.db }, whole(0, maxDB)),
	},
	{
		name: "REDIS_KEY_PREFIX", group: "Redis", unset: "none", example: "shop:",
		meaning: "Stands before every key in Redis. No braces, at most 512 bytes.",
		parse:   to(func(d *draft) *string { return &d.keyPrefix }, keyPrefix),
	},
}

var tlsSettings = []setting{
	{
		name: "REDIS_TLS", group: "TLS to Redis", def: "false", example: "true",
		meaning: "Speak TLS (1.2 or later) to Redis. `rediss://` in `REDIS_URL` says the same.",
		parse:   to(func(d *draft) *bool { return &d.tls }, boolean),
	},
	{
		name: "REDIS_TLS_CA_FILE", group: "TLS to Redis", unset: trusted, example: "/etc/redis/ca.pem",
		meaning: "PEM file with the certificate authorities to trust, and no others.",
		parse:   to(func(d *draft) *string { return &d.tlsCAFile }, text),
	},
	{
		name: "REDIS_TLS_CERT_FILE", group: "TLS to Redis", unset: "none", example: "/etc/redis/client.pem",
		meaning: "PEM file with the client certificate; needs `REDIS_TLS_KEY_FILE`. It is read again at every connection, as are the CA and the key.",
		parse:   to(func(d *draft) *string { return &d.tlsCertFile }, text),
	},
	{
		name: "REDIS_TLS_KEY_FILE", group: "TLS to Redis", unset: "none", example: "/etc/redis/client.key",
		meaning: "PEM file with the key of the client certificate.",
		parse:   to(func(d *draft) *string { return &d.tlsKeyFile }, text),
	},
	{
		name: "REDIS_TLS_SERVER_NAME", group: "TLS to Redis", unset: "the host dialled", example: "redis.example",
		meaning: "The name that the server's certificate must carry.",
		parse:   to(func(d *draft) *string { return &d.tlsServerName }, serverName),
	},
	{
		name: "REDIS_SENTINEL_TLS", group: "TLS to Redis", unset: "as `REDIS_TLS`", example: "true",
		meaning: "Speak TLS to the sentinels, with the same files.",
		parse:   to(func(d *draft) **bool { return &d.sentinelTLS }, maybe(boolean)),
	},
}

var sentinelSettings = []setting{
	{
		name: "REDIS_SENTINEL_ENABLED", group: "Sentinel", def: "false", example: "true",
		meaning: "Ask for Sentinel mode. It needs `REDIS_SENTINEL_MASTER_NAME` and at least three `REDIS_SENTINELS`. " +
			"With an incomplete one the single server of `REDIS_HOST` is used instead, with an error in the log and in `/health`; see `REDIS_STRICT`.",
		parse: to(func(d *draft) *bool { return &d.sentinelEnabled }, boolean),
	},
	{
		name: "REDIS_SENTINEL_MASTER_NAME", group: "Sentinel", unset: "none", example: "mymaster",
		meaning: "The name under which the sentinels watch the master.",
		parse:   to(func(d *draft) *string { return &d.masterName }, masterName),
	},
	{
		name: "REDIS_SENTINELS", group: "Sentinel", unset: "none", example: "sentinel-1:26379,sentinel-2:26379,sentinel-3:26379",
		meaning: "The sentinels, `host:port` each with its port, IPv6 in brackets; at least three, none twice, at most 64. White space does not count.",
		parse:   to(func(d *draft) *[]string { return &d.sentinels }, endpoints(maxSentinels, fixSentinel)),
	},
	{
		name: "REDIS_SENTINEL_USERNAME", group: "Sentinel", unset: "the default user", example: "watcher",
		meaning: "The ACL user for the sentinels themselves.",
		parse:   to(func(d *draft) *string { return &d.sentinelUsername }, text),
	},
	{
		name: "REDIS_SENTINEL_PASSWORD", group: "Sentinel", unset: "none", example: "secret", secret: true,
		meaning: "The password for the sentinels themselves; that of Redis is not tried there.",
		parse:   to(func(d *draft) *evercache.Secret { return &d.sentinelPassword }, secret),
	},
	{
		name: "REDIS_SENTINEL_PASSWORD_FILE", group: "Sentinel", unset: "none", example: "/run/secrets/sentinel-password",
		meaning: "A file that holds it instead.",
		parse:   to(func(d *draft) *string { return &d.sentinelPasswordFile }, text),
	},
	{
		name: "REDIS_ADDRESS_MAP", group: "Sentinel", unset: "none", example: "redis-1:6379=127.0.0.1:6379,redis-2:6379=127.0.0.1:6380",
		meaning: "For addresses that cannot be dialled from here (container networks): `announced=dialable`, each `host:port`. A node listed here is logged in to by one sentinel's word; any other one needs a majority of them, or the master. In Cluster mode it maps what the nodes announce.",
		parse:   to(func(d *draft) *map[string]string { return &d.addressMap }, addressMap),
	},
	{
		name: "REDIS_STRICT", group: "Sentinel", def: "false", example: "true",
		meaning: "Refuse to start, instead of using a single server, when Sentinel mode is asked for and its configuration is incomplete. Recommended.",
		parse:   to(func(d *draft) *bool { return &d.strict }, boolean),
	},
}

var replicaSettings = []setting{
	{
		name: "REDIS_REPLICA_READS", group: "Reads from replicas", def: "false", example: "true",
		meaning: "Let replicas answer reads, with what is at most a second old. For Sentinel and Cluster mode; with a single server it is a fault. See [the guide](guide/replica-reads.md).",
		parse:   to(func(d *draft) *bool { return &d.replicaReads }, boolean),
	},
	{
		name: "REDIS_ZONE", group: "Reads from replicas", unset: "any", example: "eu-west-1a",
		meaning: "Where this process runs, by the name that the servers have in `availability-zone` (Valkey 8); at most 256 bytes. Replicas there are asked first. Without `REDIS_REPLICA_READS=true` it is a fault.",
		parse:   to(func(d *draft) *string { return &d.zone }, zone),
	},
}

var clusterSettings = []setting{
	{
		name: "REDIS_CLUSTER_NODES", group: "Cluster", unset: "none", example: "node-1:6379,node-2:6379,node-3:6379",
		meaning: "Asks for Cluster mode: some nodes of a Redis Cluster, `host:port` each with its port, IPv6 in brackets; at most 64, none twice. White space does not count. " +
			"The other nodes are found through them; give one of each shard at least, or one name with many addresses. " +
			"`REDIS_USERNAME`, `REDIS_PASSWORD`, `REDIS_TLS` and `REDIS_ADDRESS_MAP` count for every node. With `REDIS_SENTINEL_ENABLED=true` or another `REDIS_DB` than 0 it is a fault. See [the guide](guide/cluster.md).",
		parse: to(func(d *draft) *[]string { return &d.clusterNodes }, endpoints(maxSeeds, fixNode)),
	},
}

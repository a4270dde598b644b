package memlimit

import (
	"math"
	"strings"
	"testing"
	"testing/fstest"
)

// mountinfo of real machines, cut to what matters.
const (
	mountsV2 = `22 1 0:21 / /proc rw,nosuid shared:12 - proc proc rw
30 24 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
`
	mountsV1 = `31 30 0:28 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
34 30 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 30 0:37 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`
	mountsDockerV1 = `734 725 0:31 /docker/abc /sys/fs/cgroup/memory ro,nosuid master:17 - cgroup cgroup rw,memory
`
)

func TestTheLimitOfAControlGroup(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		name           string
		groups, mounts string
		files          map[string]string
		want           int64
	}{
		{"version 2, in a container", "0::/\n", mountsV2, map[string]string{"sys/fs/cgroup/memory.max": "67108864\n"}, 64 * mib},
		{"version 2, a unit of systemd", "0::/system.slice/evercache.service\n", mountsV2, map[string]string{
			"sys/fs/cgroup/system.slice/evercache.service/memory.max": "134217728\n",
			"sys/fs/cgroup/system.slice/memory.max":                   "max\n",
		}, 128 * mib},
		{"version 2, the parent has less", "0::/pod/box\n", mountsV2, map[string]string{
			"sys/fs/cgroup/pod/box/memory.max": "max\n",
			"sys/fs/cgroup/pod/memory.max":     "33554432\n",
		}, 32 * mib},
		{"version 2, none", "0::/\n", mountsV2, map[string]string{"sys/fs/cgroup/memory.max": "max\n"}, 0},
		{"version 1", "4:memory:/mine\n0::/\n", mountsV1, map[string]string{
			"sys/fs/cgroup/memory/mine/memory.limit_in_bytes": "67108864\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":      "9223372036854771712\n",
		}, 64 * mib},
		{"version 1, none", "4:memory:/\n", mountsV1, map[string]string{"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		{"version 1, in a container", "4:cpu,memory:/docker/abc\n", mountsDockerV1, map[string]string{"sys/fs/cgroup/memory/memory.limit_in_bytes": "67108864\n"}, 64 * mib},
		{"version 1, a container in another group", "4:memory:/docker/abcdef\n", mountsDockerV1, map[string]string{"sys/fs/cgroup/memory/memory.limit_in_bytes": "67108864\n"}, 64 * mib},
		{"a path that leaves", "0::/../../etc\n", mountsV2, map[string]string{"sys/fs/cgroup/memory.max": "67108864\n", "etc/memory.max": "1"}, 64 * mib},
		{"a space in a path", "0::/a b\n", strings.Replace(mountsV2, "/sys/fs/cgroup ", `/sys/c\040g `, 1), map[string]string{"sys/c g/a b/memory.max": "67108864"}, 64 * mib},
		{"nothing mounted", "0::/\n", "", nil, 0},
		{"nonsense", "0::\n::\n\n0:x", "a - b\n - \n", nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := fstest.MapFS{"proc/self/cgroup": {Data: []byte(tt.groups)}, "proc/self/mountinfo": {Data: []byte(tt.mounts)}}
			for name, text := range tt.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			if got := Of(root); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}

func TestWithoutProcThereIsNoLimit(t *testing.T) {
	if got := Of(fstest.MapFS{}); got != 0 {
		t.Error(got)
	}
}

func TestTheRuntimeGetsLessThanTheLimit(t *testing.T) {
	for limit, want := range map[int64]int64{8 << 20: 4 << 20, 64 << 20: 52 << 20, 512 << 20: 448 << 20} {
		if got := Soft(limit); got != want {
			t.Errorf("Soft(%d) = %d, want %d", limit, got, want)
		}
	}
}

func FuzzLimit(f *testing.F) {
	f.Add("0::/\n", mountsV2, "67108864\n")
	f.Add("4:memory:/mine\n0::/\n", mountsV1, "max")
	f.Add("4:cpu,memory:/docker/abc/../..\n", mountsDockerV1, "-1")
	f.Fuzz(func(t *testing.T, groups, mounts, limit string) {
		for _, p := range places(groups, mounts) {
			if p.dir != p.top && p.top != "/" && !strings.HasPrefix(p.dir, p.top+"/") {
				t.Fatalf("%+v leaves its mount", p)
			}
			if n := p.limit(fstest.MapFS{}); n != math.MaxInt64 {
				t.Fatal(n)
			}
		}
		root := fstest.MapFS{"proc/self/cgroup": {Data: []byte(groups)}, "proc/self/mountinfo": {Data: []byte(mounts)}, "sys/fs/cgroup/memory.max": {Data: []byte(limit)}}
		if n := Of(root); n < 0 {
			t.Fatal(n)
		}
		if n := parseLimit(limit); n <= 0 || n < Soft(n) || Soft(n) < 0 {
			t.Fatal(n)
		}
	})
}

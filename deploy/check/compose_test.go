package check

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// load reads a compose file as docker compose would, with these variables.
func load(t *testing.T, text string, environ map[string]string) (*types.Project, error) {
	t.Helper()
	dir, err := filepath.Abs(compose)
	if err != nil {
		t.Fatal(err)
	}
	return loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  dir,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "compose.yml"), Content: []byte(text)}},
		Environment: environ,
	})
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// project is the compose file as it is.
func project(t *testing.T) *types.Project {
	t.Helper()
	p, err := load(t, read(t, filepath.Join(compose, "compose.yml")), nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// faults lists what the schema cannot know: what makes a set survive, and what
// keeps others out.
func faults(p *types.Project) (all []string) {
	add := func(service, format string, a ...any) { all = append(all, service+": "+fmt.Sprintf(format, a...)) }
	addresses, volumes, names := map[string]string{}, map[string]string{}, hosts(p)
	for _, name := range p.ServiceNames() {
		s := p.Services[name]
		for _, f := range confinement(s) {
			add(name, "%s", f)
		}
		for host, addr := range names {
			if !slices.Contains(s.ExtraHosts[host], addr) {
				add(name, "extra_hosts does not say that %s is %s", host, addr)
			}
		}
		if name == "evercache" {
			if drain := 10 * time.Second; s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) <= drain {
				add(name, "it is killed before EVERCACHE_DRAIN_TIMEOUT (%v) is over", drain)
			}
			for host := range names {
				if _, ok := s.DependsOn[host]; !ok && strings.HasPrefix(host, "redis") {
					add(name, "down may end %s before it", host)
				}
			}
			continue
		}
		if len(s.Ports) > 0 {
			add(name, "it is published")
		}
		if s.HealthCheck == nil {
			add(name, "no health check")
		}
		if n := s.Networks["redis"]; n == nil || n.Ipv4Address == "" {
			add(name, "no fixed address")
		} else if other := addresses[n.Ipv4Address]; other != "" {
			add(name, "the address of %s", other)
		} else {
			addresses[n.Ipv4Address] = name
		}
		if v := data(s); v == "" {
			add(name, "/data is no named volume")
		} else if other := volumes[v]; other != "" {
			add(name, "the volume of %s", other)
		} else {
			volumes[v] = name
		}
		if e := s.Environment["NODE_NAME"]; e == nil || *e != name {
			add(name, "NODE_NAME is not its name")
		}
	}
	return all
}

// confinement is what every service has.
func confinement(s types.ServiceConfig) (all []string) {
	for what, ok := range map[string]bool{
		"it may write to its root":            s.ReadOnly,
		"it keeps capabilities":               slices.Equal(s.CapDrop, []string{"ALL"}) && len(s.CapAdd) == 0,
		"it may gain privileges":              slices.Contains(s.SecurityOpt, "no-new-privileges:true"),
		"no limit of memory":                  s.MemLimit > 0,
		"no limit of processes":               s.PidsLimit > 0,
		"its log grows without end":           s.Logging != nil && s.Logging.Options["max-size"] != "" && s.Logging.Options["max-file"] != "",
		"it does not come back":               s.Restart == "unless-stopped",
		"its image is not pinned: " + s.Image: pinned(s.Image),
	} {
		if !ok {
			all = append(all, what)
		}
	}
	slices.Sort(all)
	return all
}

// pinned is a tag with a whole version, a digest, or what is built here.
func pinned(image string) bool {
	_, tag, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	return strings.Contains(image, "@sha256:") || image == "evercache:local" || strings.Count(tag, ".") >= 2
}

// data is the named volume under /data.
func data(s types.ServiceConfig) string {
	for _, v := range s.Volumes {
		if v.Target == "/data" && v.Type == types.VolumeTypeVolume {
			return v.Source
		}
	}
	return ""
}

// hosts is the address of each node by its name.
func hosts(p *types.Project) map[string]string {
	all := map[string]string{}
	for name, s := range p.Services {
		if n := s.Networks["redis"]; n != nil && n.Ipv4Address != "" {
			all[name] = n.Ipv4Address
		}
	}
	return all
}

func TestTheComposeFileIsSound(t *testing.T) {
	p := project(t)
	for _, f := range faults(p) {
		t.Error(f)
	}
	if n := len(p.Services); n != 7 {
		t.Errorf("%d services, want 3 nodes, 3 sentinels and evercache", n)
	}
	for _, port := range p.Services["evercache"].Ports {
		if port.HostIP != "127.0.0.1" {
			t.Errorf("evercache is published on %q", port.HostIP)
		}
	}
	for name, s := range p.Secrets {
		if !strings.Contains(read(t, filepath.Join(compose, "setup.sh")), name) || filepath.Base(s.File) != name {
			t.Errorf("setup.sh does not make the secret %s", name)
		}
	}
}

func TestFaultsOfTheComposeFileAreFound(t *testing.T) {
	text := read(t, filepath.Join(compose, "compose.yml"))
	for _, planted := range []struct{ what, old, text, want string }{
		{"a misspelt key", "    mem_limit: 128m", "    memlimit: 128m", "memlimit"},
		{"a value of the wrong type", "read_only: true", "read_only: [no]", "read_only"},
		{"a service that is not there", "redis-3: {condition: service_healthy}", "redis-4: {condition: service_healthy}", "redis-4"},
		{"a volume that nobody declares", `"redis-3:/data"`, `"redis-9:/data"`, "redis-9"},
		{"a latest image", "redis:8.0.6", "redis:latest", "redis-1: its image is not pinned: redis:latest"},
		{"one address twice", `SUBNET:-172.30.86}.23"}}`, `SUBNET:-172.30.86}.22"}}`, "sentinel-3: the address of sentinel-2"},
		{"a shared volume", `"sentinel-3:/data"`, `"sentinel-2:/data"`, "sentinel-3: the volume of sentinel-2"},
		{"a name that no hosts file knows", `  - "sentinel-3:${SUBNET:-172.30.86}.23"` + "\n", "", "extra_hosts does not say that sentinel-3"},
		{"a published sentinel", "    environment: {<<: *environment, NODE_NAME: sentinel-1", "    ports: [26379]\n    environment: {<<: *environment, NODE_NAME: sentinel-1", "sentinel-1: it is published"},
		{"a bind mount for data", `"redis-2:/data"`, `"./data:/data"`, "redis-2: /data is no named volume"},
		{"no rotation", "    options: {max-size: 10m", "    options: {mode: blocking", "its log grows"},
		{"a short end", "stop_grace_period: 15s", "stop_grace_period: 5s", "evercache: it is killed before EVERCACHE_DRAIN_TIMEOUT"},
		{"a node that ends first", "      redis-2: {condition: service_started}\n", "", "evercache: down may end redis-2 before it"},
		{"a name of another", "NODE_NAME: redis-2", "NODE_NAME: redis-1", "redis-2: NODE_NAME"},
	} {
		t.Run(planted.what, func(t *testing.T) {
			spoiled := strings.Replace(text, planted.old, planted.text, 1)
			if spoiled == text {
				t.Fatalf("%q is not in the file", planted.old)
			}
			p, err := load(t, spoiled, nil)
			found := fmt.Sprint(err)
			if err == nil {
				found = strings.Join(faults(p), "\n")
			}
			if !strings.Contains(found, planted.want) {
				t.Errorf("found %q, want %q", found, planted.want)
			}
		})
	}
}

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
	return loadAll(t, environ, text)
}

// loadAll reads several, of which each adds to those before.
func loadAll(t *testing.T, environ map[string]string, texts ...string) (*types.Project, error) {
	t.Helper()
	dir, err := filepath.Abs(compose)
	if err != nil {
		t.Fatal(err)
	}
	var files []types.ConfigFile
	for i, text := range texts {
		files = append(files, types.ConfigFile{Filename: filepath.Join(dir, fmt.Sprintf("%d.yml", i)), Content: []byte(text)})
	}
	return loader.LoadWithContext(t.Context(), types.ConfigDetails{WorkingDir: dir, ConfigFiles: files, Environment: environ})
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
		if len(s.Ports) > 0 && name != "evercache" {
			add(name, "it is published")
		}
		for _, f := range tlsFaults(s, usesTLS(p)) {
			add(name, "%s", f)
		}
		switch name {
		case "evercache":
			for _, f := range daemonFaults(s, names) {
				add(name, "%s", f)
			}
		case "create":
			for host, addr := range names {
				if list := value(s, "NODES"); !slices.Contains(strings.Fields(list), addr+":6379") {
					add(name, "NODES lacks %s (%s)", host, addr)
				}
			}
		default:
			for _, f := range nodeFaults(s, addresses, volumes) {
				add(name, "%s", f)
			}
		}
	}
	return all
}

// value is a variable of a service.
func value(s types.ServiceConfig, name string) string {
	if v := s.Environment[name]; v != nil {
		return *v
	}
	return ""
}

// daemonFaults are those of evercache beside the nodes.
func daemonFaults(s types.ServiceConfig, nodes map[string]string) (all []string) {
	if drain := 10 * time.Second; s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) <= drain {
		all = append(all, fmt.Sprintf("it is killed before EVERCACHE_DRAIN_TIMEOUT (%v) is over", drain))
	}
	listed := value(s, "REDIS_SENTINELS") + "," + value(s, "REDIS_CLUSTER_NODES")
	for host := range nodes {
		if _, ok := s.DependsOn[host]; !ok && strings.HasPrefix(host, "redis") {
			all = append(all, "down may end "+host+" before it")
		}
		if m := value(s, "REDIS_ADDRESS_MAP"); strings.HasPrefix(host, "redis") && value(s, "REDIS_SENTINELS") != "" && !strings.Contains(m, host+":6379="+host+":6379") {
			all = append(all, "its password may go to others than "+host)
		}
		asked := strings.HasPrefix(host, "sentinel") || value(s, "REDIS_CLUSTER_NODES") != ""
		if asked && !strings.Contains(listed+",", ","+host+":") && !strings.HasPrefix(listed, host+":") {
			all = append(all, "it does not know of "+host)
		}
	}
	return all
}

// nodeFaults are those of a Redis node or a sentinel. It notes address and volume.
func nodeFaults(s types.ServiceConfig, addresses, volumes map[string]string) (all []string) {
	if s.HealthCheck == nil {
		all = append(all, "no health check")
	}
	addr := ""
	if n := s.Networks["redis"]; n == nil || n.Ipv4Address == "" {
		all = append(all, "no fixed address")
	} else if addr = n.Ipv4Address; addresses[addr] != "" {
		all = append(all, "the address of "+addresses[addr])
	} else {
		addresses[addr] = s.Name
	}
	if v := data(s); v == "" {
		all = append(all, "/data is no named volume")
	} else if other := volumes[v]; other != "" {
		all = append(all, "the volume of "+other)
	} else {
		volumes[v] = s.Name
	}
	if value(s, "NODE_NAME") != s.Name {
		all = append(all, "NODE_NAME is not its name")
	}
	if ip := s.Environment["ANNOUNCE_IP"]; ip != nil && *ip != addr {
		all = append(all, "it announces "+*ip+", which is not its address")
	}
	return all
}

func usesTLS(p *types.Project) bool {
	for _, s := range p.Services {
		if value(s, "TLS_DIR") != "" || value(s, "REDIS_TLS") != "" {
			return true
		}
	}
	return false
}

// tlsFaults: where one speaks TLS all do, each with its own certificate, which it
// cannot change.
func tlsFaults(s types.ServiceConfig, on bool) (all []string) {
	if !on {
		return nil
	}
	own := s.Name
	if own == "create" {
		own = "redis-1"
	}
	folder := slices.IndexFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == "/certificates" })
	if folder < 0 || filepath.Base(s.Volumes[folder].Source) != own {
		all = append(all, "its certificates are not in certificates/"+own)
	} else {
		v := s.Volumes[folder]
		if !v.ReadOnly {
			all = append(all, "it may change its certificates")
		}
		if v.Bind == nil || v.Bind.CreateHostPath {
			all = append(all, "a folder of certificates that is not there would be made, by root and empty")
		}
	}
	want := map[string]string{"TLS_DIR": "/certificates"}
	if s.Name == "evercache" {
		want = map[string]string{
			"REDIS_TLS": "true", "REDIS_TLS_CA_FILE": "/certificates/ca.crt",
			"REDIS_TLS_CERT_FILE": "/certificates/tls.crt", "REDIS_TLS_KEY_FILE": "/certificates/tls.key",
			"EVERCACHE_TLS_CERT_FILE": "/certificates/tls.crt", "EVERCACHE_TLS_KEY_FILE": "/certificates/tls.key",
		}
	}
	for name, v := range want {
		if value(s, name) != v {
			all = append(all, name+" is not "+v)
		}
	}
	slices.Sort(all)
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
		"it does not come back":               s.Restart == "unless-stopped" || s.Name == "create" && s.Restart == "on-failure:3",
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

// choices are what COMPOSE_FILE may name.
var choices = map[string]struct {
	files    []string
	services int
}{
	"a Sentinel set":          {[]string{"compose.yml"}, 7},
	"a Sentinel set with TLS": {[]string{"compose.yml", "compose.tls.yml"}, 7},
	"a Cluster":               {[]string{"compose.cluster.yml"}, 8},
	"a Cluster with TLS":      {[]string{"compose.cluster.yml", "compose.cluster.tls.yml"}, 8},
}

func texts(t *testing.T, files []string) (all []string) {
	t.Helper()
	for _, f := range files {
		all = append(all, read(t, filepath.Join(compose, f)))
	}
	return all
}

func TestTheComposeFilesAreSound(t *testing.T) {
	for what, c := range choices {
		p, err := loadAll(t, nil, texts(t, c.files)...)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		for _, f := range faults(p) {
			t.Errorf("%s: %s", what, f)
		}
		if n := len(p.Services); n != c.services {
			t.Errorf("%s: %d services, want %d", what, n, c.services)
		}
		for _, port := range p.Services["evercache"].Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: evercache is published on %q", what, port.HostIP)
			}
		}
		for name, s := range p.Secrets {
			if !strings.Contains(read(t, filepath.Join(compose, "setup.sh")), name) || filepath.Base(s.File) != name {
				t.Errorf("%s: setup.sh does not make the secret %s", what, name)
			}
		}
		if example := read(t, filepath.Join(compose, ".env.example")); len(c.files) > 1 && !strings.Contains(example, "COMPOSE_FILE="+strings.Join(c.files, ":")) {
			t.Errorf("%s: .env.example does not say how", what)
		}
	}
}

func TestFaultsOfTheOtherComposeFilesAreFound(t *testing.T) {
	for _, planted := range []struct{ what, choice, old, text, want string }{
		{"a node without TLS", "a Sentinel set with TLS", "redis-2:\n    environment: {TLS_DIR: /certificates}", "redis-2:\n    environment: {}", "redis-2: TLS_DIR is not /certificates"},
		{"the certificate of another", "a Sentinel set with TLS", "./certificates/sentinel-3", "./certificates/sentinel-2", "sentinel-3: its certificates are not in"},
		{"certificates that can be changed", "a Sentinel set with TLS", "target: /certificates, read_only: true", "target: /certificates, read_only: false", "redis-1: it may change its certificates"},
		{"a folder that is made", "a Sentinel set with TLS", "create_host_path: false", "create_host_path: true", "redis-1: a folder of certificates that is not there"},
		{"a service in plain text", "a Sentinel set with TLS", "      EVERCACHE_TLS_KEY_FILE: /certificates/tls.key", "      EVERCACHE_TLS_KEY_FILE: /certificates/tls.crt", "evercache: EVERCACHE_TLS_KEY_FILE is not"},
		{"a Redis in plain text", "a Cluster with TLS", `REDIS_TLS: "true"`, `REDIS_TLS: "false"`, "evercache: REDIS_TLS is not true"},
		{"a creator in plain text", "a Cluster with TLS", "create:\n    environment: {TLS_DIR: /certificates}", "create:\n    environment: {}", "create: TLS_DIR"},
		{"the address of another", "a Cluster", `ANNOUNCE_IP: "${CLUSTER_SUBNET:-172.30.87}.14"`, `ANNOUNCE_IP: "${CLUSTER_SUBNET:-172.30.87}.13"`, "redis-4: it announces"},
		{"a node that is left out", "a Cluster", "  ${CLUSTER_SUBNET:-172.30.87}.16:6379\n", "", "create: NODES lacks redis-6"},
		{"a node that is not asked", "a Cluster", ",redis-5:6379", "", "evercache: it does not know of redis-5"},
		{"a creator that begins again for ever", "a Cluster", "restart: on-failure:3", "restart: always", "create: it does not come back"},
		{"a creator that nobody waits for", "a Cluster", "create: {condition: service_completed_successfully}", "creat: {condition: service_completed_successfully}", "creat"},
	} {
		t.Run(planted.what, func(t *testing.T) {
			all, n := texts(t, choices[planted.choice].files), 0
			for i, text := range all {
				all[i] = strings.Replace(text, planted.old, planted.text, 1)
				if all[i] != text {
					n++
				}
			}
			if n != 1 {
				t.Fatalf("%q is in %d files", planted.old, n)
			}
			p, err := loadAll(t, nil, all...)
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

func TestFaultsOfTheComposeFileAreFound(t *testing.T) {
	text := read(t, filepath.Join(compose, "compose.yml"))
	for _, planted := range []struct{ what, old, text, want string }{
		{"a misspelt key", "    mem_limit: 128m", "    memlimit: 128m", "memlimit"},
		{"a value of the wrong type", "read_only: true", "read_only: [no]", "read_only"},
		{"a service that is not there", "redis-3: {condition: service_started}", "redis-4: {condition: service_started}", "redis-4"},
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
		{"a node that is not vouched for", ",redis-3:6379=redis-3:6379", "", "evercache: its password may go to others than redis-3"},
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

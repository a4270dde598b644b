package validate

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evercache/evercache/deploy/validate/manifests"
)

// evercache is the binary that judges settings.
func evercache() (string, error) {
	if b := os.Getenv("EVERCACHE_BINARY"); b != "" {
		return b, nil
	}
	file := filepath.Join(filepath.Dir(tree), "evercache")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	build := exec.Command("go", "build", "-o", file, "./cmd/evercache")
	build.Dir = "../.."
	build.Env = append(os.Environ(), "GOFLAGS=-mod=readonly")
	out, err := build.CombinedOutput()
	if err != nil {
		err = &buildError{string(out), err}
	}
	return file, err
}

type buildError struct {
	out string
	err error
}

func (e *buildError) Error() string { return e.err.Error() + ": " + e.out }

// judge lists what evercache finds wrong with an environment. Paths of volumes become
// files of the test: their secrets, the authority of the overlay tls, a folder.
func judge(env map[string]string) []string {
	binary, err := evercache()
	if err != nil {
		return []string{err.Error()}
	}
	here := strings.NewReplacer("/secrets/", filepath.Join(tree, "overlays/tls/secrets")+"/", "/tls/", filepath.Join(tree, "overlays/tls/tls")+"/",
		"/journal/", filepath.Join(filepath.Dir(tree), "journal")+"/")
	cmd := exec.Command(binary, "healthcheck", "--timeout", "10ms")
	for name, value := range env {
		if strings.HasPrefix(name, "REDIS_") || strings.HasPrefix(name, "EVERCACHE_") {
			cmd.Env = append(cmd.Env, name+"="+here.Replace(value))
		}
	}
	out, _ := cmd.CombinedOutput() // the status is looked at
	var faults []string
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() == 2 {
		faults = append(faults, string(out))
	}
	known, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		return append(faults, err.Error())
	}
	for name := range env {
		if (strings.HasPrefix(name, "REDIS_") || strings.HasPrefix(name, "EVERCACHE_")) && !strings.Contains(string(known), "| `"+name+"` |") {
			faults = append(faults, name+" is no setting of evercache")
		}
	}
	return faults
}

func TestTheDocumentsFitTogether(t *testing.T) {
	for _, overlay := range manifests.Overlays {
		for _, f := range crossFaults(objects(t, build(t, overlay))) {
			t.Errorf("%s: %s", overlay, f)
		}
	}
}

func TestDocumentsThatDoNotFitAreFound(t *testing.T) {
	docs := build(t, "prod")
	for _, planted := range []struct{ what, kind, name, old, text, want string }{
		{"a selector that finds nothing", "StatefulSet", "redis", "    matchLabels:\n      app.kubernetes.io/name: redis\n  serviceName", "    matchLabels:\n      app.kubernetes.io/name: rediss\n  serviceName", "its selector is wrong"},
		{"a selector that finds others", "Deployment", "evercache", "    matchLabels:\n      app.kubernetes.io/name: evercache\n  strategy", "    matchLabels:\n      app.kubernetes.io/part-of: evercache\n  strategy", "is wrong about the pods of StatefulSet redis"},
		{"a port that nobody has", "Service", "redis-1", "targetPort: redis", "targetPort: rediss", "has no port rediss"},
		{"a Service of another pod", "Service", "redis-1", "pod-name: redis-1", "pod-name: redis-0", "redis-1 has no Service of its own"},
		{"a Service that hides a new node", "Service", "redis-1", "publishNotReadyAddresses: true", "publishNotReadyAddresses: false", "no address that is always there"},
		{"a budget that lets all go", "PodDisruptionBudget", "sentinel", "maxUnavailable: 1", "maxUnavailable: 2", "PodDisruptionBudget sentinel"},
		{"a budget that lets nobody go", "PodDisruptionBudget", "redis", "maxUnavailable: 1", "maxUnavailable: 0", "PodDisruptionBudget redis"},
		{"a Secret that is not there", "Deployment", "evercache", "secretName: evercache-secrets", "secretName: secret", "there is no Secret secret"},
		{"a key that is not there", "Deployment", "evercache", "- key: token", "- key: tokens", "has no key tokens"},
		{"a ConfigMap that is not there", "StatefulSet", "redis", "name: redis-settings", "name: settings", "there is no ConfigMap settings"},
		{"a claim that is not there", "CronJob", "evercache-backup", "claimName: evercache-backup", "claimName: backup", "there is no claim backup"},
		{"an account that is not there", "StatefulSet", "redis", "serviceAccountName: redis", "serviceAccountName: root", "there is no account"},
		{"a script that is not there", "StatefulSet", "redis", "- handover.sh", "- hand-over.sh", "has no file /set/hand-over.sh"},
		{"a file that is not there", "Deployment", "evercache", "value: /secrets/token", "value: /secrets/tokens", "has no file /secrets/tokens"},
		{"a port that no policy opens", "NetworkPolicy", "evercache", "port: http", "port: 9999", "no NetworkPolicy lets anybody reach the port http"},
		{"a way that is open at one end", "NetworkPolicy", "sentinel", "port: 6379", "port: 6380", "and no NetworkPolicy lets it leave"},
		{"an image that moves", "StatefulSet", "redis", "image: redis:8.0.6", "image: redis:8", "not pinned"},
		{"liveness that depends on others", "StatefulSet", "redis", "        livenessProbe:\n          exec:\n            command:\n            - /bin/sh\n            - /set/health.sh\n            - alive", "        livenessProbe:\n          exec:\n            command:\n            - /bin/sh\n            - /set/health.sh\n            - redis", "depends on others"},
		{"liveness that asks Redis", "Deployment", "evercache", "path: /livez", "path: /health", "depends on others"},
		{"an end that is cut off", "StatefulSet", "redis", "terminationGracePeriodSeconds: 60", "terminationGracePeriodSeconds: 30", "killed before its end"},
		{"an end of evercache that is cut off", "Deployment", "evercache", "terminationGracePeriodSeconds: 30", "terminationGracePeriodSeconds: 10", "killed before its end"},
		{"variables of Services", "StatefulSet", "sentinel", "enableServiceLinks: false", "enableServiceLinks: true", "enableServiceLinks"},
		{"too little memory", "StatefulSet", "redis", "memory: 4Gi\n          requests:\n            cpu: 500m\n            memory: 4Gi", "memory: 2Gi\n          requests:\n            cpu: 500m\n            memory: 2Gi", "MAXMEMORY=2gb"},
		{"a limit that Go does not keep", "Deployment", "evercache", "        - name: EVERCACHE_LOG_FORMAT\n          value: json", "        - name: GOMEMLIMIT\n          value: 256MiB", "GOMEMLIMIT"},
		{"no limit", "StatefulSet", "sentinel", "limits:\n            memory: 64Mi", "limits:\n            cpu: 1", "the limit of memory"},
		{"a setting that evercache does not know", "Deployment", "evercache", "name: EVERCACHE_HOSTS", "name: EVERCACHE_HOST", "EVERCACHE_HOST is no setting"},
		{"a value that evercache does not take", "Deployment", "evercache", "value: :3000", `value: "3000"`, "EVERCACHE_LISTEN"},
		{"another master", "ConfigMap", "evercache-", "REDIS_SENTINEL_MASTER_NAME: mymaster", "REDIS_SENTINEL_MASTER_NAME: other", "REDIS_SENTINEL_MASTER_NAME is"},
	} {
		t.Run(planted.what, func(t *testing.T) {
			name := planted.name
			if planted.kind == "ConfigMap" {
				for _, d := range docs {
					if strings.Contains(d, "REDIS_SENTINEL_MASTER_NAME") {
						_, name, _ = strings.Cut(d, "\n  name: ")
						name, _, _ = strings.Cut(name, "\n")
					}
				}
			}
			found := strings.Join(crossFaults(objects(t, spoil(t, docs, planted.kind, name, planted.old, planted.text))), "\n")
			if !strings.Contains(found, planted.want) {
				t.Errorf("found %q, want %q", found, planted.want)
			}
		})
	}
}

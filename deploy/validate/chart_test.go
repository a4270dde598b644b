package validate

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// chart is the part of the values that repeats what is said elsewhere.
type chart struct {
	Image struct{ Tag string }
	Auth  struct {
		UsersExistingSecret string
		ACLUsers            map[string]struct{ Permissions, PasswordKey string } `json:"aclUsers"`
	}
	Replica struct {
		MinReplicasToWrite int
		ReplicationUser    string
		Sentinel           struct {
			MasterSet             string
			Quorum                int
			DownAfterMilliseconds int
		}
	}
	ValkeyConfig string
}

// chartFaults compares values with the users and settings of a set.
func chartFaults(values, users, conf string) (faults []string) {
	var c chart
	if err := yaml.Unmarshal([]byte(values), &c); err != nil {
		return []string{err.Error()}
	}
	for _, m := range regexp.MustCompile(`(?m)^user (\S+) on >@(\w+)_PASSWORD@ (.*)$`).FindAllStringSubmatch(users, -1) {
		name, want := m[1], strings.NewReplacer("@KEY_PREFIX@", "", "@SETINFO@", "+client|setinfo").Replace(m[3])
		if name == "admin" {
			continue // the chart's default
		}
		if have := c.Auth.ACLUsers[name]; have.Permissions != want || have.PasswordKey != strings.ToLower(m[2])+"-password" {
			faults = append(faults, "the user "+name+" is another one")
		}
	}
	if _, ok := c.Auth.ACLUsers[c.Replica.ReplicationUser]; !ok {
		faults = append(faults, "there is no user of the replicas")
	}
	for line := range strings.Lines(c.ValkeyConfig) {
		line = strings.TrimSpace(strings.Replace(line, "256mb", "@MAXMEMORY@", 1))
		if !strings.Contains(conf, "\n"+line+"\n") {
			faults = append(faults, "a set has not: "+line)
		}
	}
	if s := c.Replica.Sentinel; c.Replica.MinReplicasToWrite != 1 || s.Quorum != 2 || s.DownAfterMilliseconds != 3000 || s.MasterSet != "mymaster" {
		faults = append(faults, "replication or Sentinel is set otherwise")
	}
	slices.Sort(faults)
	return faults
}

func TestTheValuesOfTheChartAgreeWithASet(t *testing.T) {
	var text []string
	for _, file := range []string{"../kubernetes/overlays/valkey-chart/values.yaml", "../compose/set/redis-users.acl.tmpl", "../compose/set/redis.conf.tmpl"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, string(b))
	}
	for _, f := range chartFaults(text[0], text[1], text[2]) {
		t.Error(f)
	}
	for _, planted := range []struct{ old, text, want string }{
		{"+wait ", "", "the user evercache is another one"},
		{"appendonly yes", "appendonly no", "a set has not: appendonly no"},
		{"quorum: 2", "quorum: 1", "otherwise"},
		{"replicationUser: replica", "replicationUser: nobody", "no user of the replicas"},
	} {
		if found := strings.Join(chartFaults(strings.Replace(text[0], planted.old, planted.text, 1), text[1], text[2]), "\n"); !strings.Contains(found, planted.want) {
			t.Errorf("found %q, want %q", found, planted.want)
		}
	}
}

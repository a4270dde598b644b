package metricsdoc

import (
	"os"
	"path/filepath"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// Part is a table of the page, and what is to be in it.
type Part struct {
	Name    string
	Metrics []Metric
}

// Keep fails a test whose parts of the page, below root, are stale; with update it writes
// them. of is the package of the test.
func Keep(t *testing.T, root, of string, update bool, parts ...Part) {
	t.Helper()
	file := filepath.Join(root, Page)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := string(data)
	for _, p := range parts {
		if want, err = Replace(want, p.Name, Table(p.Metrics)); err != nil {
			t.Fatal(err)
		}
	}
	if update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := gocmp.Diff(want, string(data)); d != "" {
		t.Errorf("%s is stale (-want +got); go test ./%s -run Documented -update writes it:\n%s", Page, of, d)
	}
}

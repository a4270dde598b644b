package table

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCellsStandInColumns(t *testing.T) {
	rows := []Row{
		{[]string{"Node", "Role", "Lag"}, Plain},
		{[]string{"10.0.0.1:6379", "master", ""}, Good},
		{[]string{"é:1", "a sentence that is longer than its column"}, Bad},
	}
	want := []string{"Node           Role    Lag", "10.0.0.1:6379  master", "é:1            a sentence that is longer than its column"}
	if diff := cmp.Diff(want, Layout(rows, 0, false)); diff != "" {
		t.Error(diff)
	}
	want = []string{"Node           Role ", "\x1b[32m10.0.0.1:6379  maste\x1b[0m", "\x1b[31mé:1            a sen\x1b[0m"}
	if diff := cmp.Diff(want, Layout(rows, 20, true)); diff != "" {
		t.Errorf("cut: %s", diff)
	}
	if lines := Layout(nil, 0, true); len(lines) != 0 {
		t.Errorf("nothing: %q", lines)
	}
}

func TestSizesAreForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 3 << 20: "3.0 MiB", 5 << 30: "5.0 GiB"} {
		if got := Size(n); got != want {
			t.Errorf("Size(%d) = %s, want %s", n, got, want)
		}
	}
}

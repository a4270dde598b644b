package testbed

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// Main runs the tests of a package that wait for most of their time: n of them at once,
// however few processors there are, unless -parallel says otherwise. It is for TestMain.
func Main(m *testing.M, n int) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", fmt.Sprint(n)); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

package evercacheprom

import (
	"runtime/debug"
	"testing"
)

func TestBuildOfTheBinaryAndOfAnApplication(t *testing.T) {
	binary := &debug.BuildInfo{
		GoVersion: "go1.26.0",
		Main:      debug.Module{Path: modulePath, Version: "v1.2.3"},
		Settings:  []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}},
	}
	application := &debug.BuildInfo{
		GoVersion: "go1.26.0",
		Main:      debug.Module{Path: "example.com/shop", Version: "v9.9.9"},
		Deps:      []*debug.Module{{Path: "example.com/other", Version: "v0.0.1"}, {Path: modulePath, Version: "v1.2.3"}},
		Settings:  []debug.BuildSetting{{Key: "vcs.revision", Value: "theirs"}},
	}
	for _, tc := range []struct {
		name string
		info *debug.BuildInfo
		want Build
	}{
		{"the binary", binary, Build{Version: "v1.2.3", Revision: "abc-dirty", Go: "go1.26.0"}},
		{"an application", application, Build{Version: "v1.2.3", Go: "go1.26.0"}},
		{"go run", &debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Path: modulePath}}, Build{Version: "(devel)", Go: "go1.26.0"}},
	} {
		if got := buildFrom(tc.info); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestABuildThatSeesNoRepositoryIsStamped(t *testing.T) {
	known := Build{Version: "v1.2.3", Revision: "abc", Go: "go1.26.0"}
	for _, tc := range []struct {
		name              string
		b                 Build
		version, revision string
		want              Build
	}{
		{"an image", Build{Version: "(devel)"}, "v2.0.0", "def", Build{Version: "v2.0.0", Revision: "def"}},
		{"no stamp", Build{Version: "(devel)"}, "", "", Build{Version: "(devel)"}},
		{"Go knows better", known, "v2.0.0", "def", known},
	} {
		if got := stamp(tc.b, tc.version, tc.revision); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

package evercacheprom

import (
	"runtime"
	"runtime/debug"
)

// modulePath is this module, as a program that imports it lists it.
const modulePath = "github.com/evercache/evercache"

// Build says which evercache a program contains.
type Build struct {
	Version  string `json:"version"`  // of the module; (devel) outside a release
	Revision string `json:"revision"` // of the program's tree; empty when unknown
	Go       string `json:"go"`
}

// version and revision are set by the linker (-X) where a build cannot see the
// repository: in an image. What Go recorded itself goes first.
var version, revision string

// ReadBuild reads what the Go linker recorded.
func ReadBuild() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Build{Version: "(devel)", Go: runtime.Version()}
	}
	b := buildFrom(info)
	if info.Main.Path == modulePath {
		b = stamp(b, version, revision)
	}
	return b
}

// stamp fills in what Go could not know.
func stamp(b Build, version, revision string) Build {
	if b.Version == "(devel)" && version != "" {
		b.Version = version
	}
	if b.Revision == "" {
		b.Revision = revision
	}
	return b
}

func buildFrom(info *debug.BuildInfo) Build {
	b := Build{Version: "(devel)", Go: info.GoVersion}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == modulePath && m.Version != "" {
			b.Version = m.Version
		}
	}
	// The revision is the main module's: of use only when that is this one.
	if info.Main.Path != modulePath {
		return b
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			b.Revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			b.Revision += "-dirty"
		}
	}
	return b
}

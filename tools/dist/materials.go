package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"fmt"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// materials is the bill of materials of one binary, as CycloneDX JSON.
func materials(info *buildinfo.BuildInfo, modules []module, at time.Time) ([]byte, error) {
	main := component("github.com/evercache/evercache", info.Main.Version, cdx.ComponentTypeApplication, "Apache-2.0")
	properties := []cdx.Property{{Name: "go:version", Value: info.GoVersion}}
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS", "GOARCH", "CGO_ENABLED", "vcs.revision", "vcs.time", "vcs.modified":
			properties = append(properties, cdx.Property{Name: "go:build:" + s.Key, Value: s.Value})
		}
	}
	main.Properties = &properties
	var components []cdx.Component
	needs := cdx.Dependency{Ref: main.BOMRef, Dependencies: &[]string{}}
	for _, m := range modules {
		c := component(m.path, m.version, cdx.ComponentTypeLibrary, m.licence)
		if m.sum != "" {
			c.Properties = &[]cdx.Property{{Name: "go:sum", Value: m.sum}}
		}
		components = append(components, c)
		*needs.Dependencies = append(*needs.Dependencies, c.BOMRef)
	}
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Timestamp: at.Format(time.RFC3339), Component: &main}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{needs}
	bom.SerialNumber = serial(info, modules)
	var buf bytes.Buffer
	if err := cdx.NewBOMEncoder(&buf, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bom); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func component(path, version string, kind cdx.ComponentType, licence string) cdx.Component {
	purl := "pkg:golang/" + path + "@" + version
	return cdx.Component{
		BOMRef: purl, Type: kind, Name: path, Version: version, PackageURL: purl,
		Licenses: &cdx.Licenses{{License: &cdx.License{ID: licence}}},
	}
}

// serial is a UUID that follows from what is listed, so that two builds have the same.
func serial(info *buildinfo.BuildInfo, modules []module) string {
	h := sha256.New()
	fmt.Fprintln(h, info.String())
	for _, m := range modules {
		fmt.Fprintln(h, m.path, m.version, m.sum)
	}
	id := h.Sum(nil)[:16]
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // version 8: of our own making
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

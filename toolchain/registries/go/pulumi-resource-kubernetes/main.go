// Pulumi's Kubernetes provider, for the tests on a real control plane.
//
// `./upstream` is a copy of its module that the set-up lays there and edits (toolchain/registries/kubernetes_plugin.py).
package main

import (
	_ "embed"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
)

// Set by the linker (-X main.version=...), so that the one pinned version is written in one place.
var version = "0.0.0"

//go:embed schema.json
var schema []byte

//go:embed terraform-mapping.json
var terraformMapping []byte

func main() {
	provider.Serve("kubernetes", version, schema, terraformMapping)
}

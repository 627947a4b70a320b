//go:build tools

// Package tools pins the Pulumi CLI and every module below it: `go build` of the CLI's path in this module builds
// exactly what go.sum says.
package tools

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"

//go:build tools

// Package tools pins Docker Compose and every module below it: `go build` of its command's path in this module builds
// exactly what go.sum says.
package tools

import _ "github.com/docker/compose/v2/cmd"

//go:build tools

// Package tools pins kwok, which plays the nodes of a cluster, and every module below it. It is a module of its own, for
// kwok is built with older modules of Kubernetes than the control plane is.
package tools

import _ "sigs.k8s.io/kwok/cmd/kwok"

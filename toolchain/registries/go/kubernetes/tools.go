//go:build tools

// Package tools pins the control plane of Kubernetes and its store, and every module below them: `go build` of the paths
// of their commands in this module builds exactly what go.sum says.
package tools

import (
	_ "go.etcd.io/etcd/server/v3"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kube-scheduler"
)

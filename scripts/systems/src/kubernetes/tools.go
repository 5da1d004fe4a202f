//go:build tools

// Keeps go.mod's requirements on the programs that recipes/kubernetes.sh builds.
package tools

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
)

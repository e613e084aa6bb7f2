//go:build tools

// Package etcd pins the etcd that the tests build from source: Debian 12's cannot tell kube-apiserver how far a watch has
// come, which refuses streaming lists over it.
package etcd

import _ "go.etcd.io/etcd/server/v3"

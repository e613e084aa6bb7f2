#!/usr/bin/env bash
# The test command. Installs what it needs (deploy/install.sh tests), builds, and runs everything.
#
#   tests/run.sh           everything, of the two below their short forms
#   tests/run.sh --setup   only install and build
#   tests/run.sh --quick   no boots and no containers: formatting, lints, unit tests, both APIs, a BMC
#   tests/run.sh --chaos   every fault point, power cuts, a bad line, defects that the suites must find (about an hour)
#   tests/run.sh --bench   the figures that the project promises, beside peers and limits; wants an idle machine for an hour
#
# The last line counts the tests. Nothing is skipped: a peer that cannot be started is a failure.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd); cd "$here"
mode=${1:-}
case $mode in
  '' | --setup | --quick | --chaos | --bench) ;;
  *) echo "run.sh: $mode is not known; allowed: --setup, --quick, --chaos, --bench" >&2; exit 2 ;;
esac
[ "$(id -u)" = 0 ] || { echo "run.sh: needs root: the tests make network namespaces and start libvirt in them" >&2; exit 1; }
cache=${XDG_CACHE_HOME:-$HOME/.cache}/vitistack
logs=target/test-logs
# The suites that plain `cargo test` leaves out.
suites=(--test apis --test bmc --test conformance --test images --test road)
mkdir -p "$logs"
# Where each site writes how often its servers were started.
export VITISTACK_BOOTS=$here/$logs/boots
: >"$VITISTACK_BOOTS"
say() { printf '\n==> [%4d s] %s\n' "$SECONDS" "$*"; }
# The first line; reads to the end, because a writer whose pipe is closed dies and takes the script with it.
first() { sed -n 1p; }

# made RESULT SOURCE…: whether the result is there and no older than what it is made from.
made() { [ -s "$1" ] && [ -z "$(find "${@:2}" -newer "$1" -print -quit)" ]; }

say "Peers"
deploy/install.sh tests
export PATH=$cache/bin:$PATH
if ! command -v kubectl >/dev/null; then export PATH=$cache/kubernetes-1.36.3:$PATH; fi

if [ "$mode" != --chaos ] && [ "$mode" != --bench ]; then
  say "Formatting and lints"
  cargo fmt --all --check
  # Twice: cargo leaves out the suites by name where it is asked for all tests.
  cargo clippy --workspace --all-targets --locked -- -D warnings
  cargo clippy --workspace "${suites[@]}" --locked -- -D warnings
  # The fuzz targets are a workspace of their own, so nothing else notices that their lock file is behind.
  cargo metadata --manifest-path tests/fuzz/Cargo.toml --locked --format-version 1 >/dev/null
  cargo deny --all-features check --hide-inclusion-graph bans licenses sources 2>&1 | tail -3
  for script in deploy/*.sh images/*/*.sh images/*.sh tests/*.sh; do [ -e "$script" ] && bash -n "$script"; done
fi

say "Build"
# Programs and tests together: one after the other would build every dependency twice, with and without the tests'
# features.
cargo build --workspace --bins --tests --locked
cargo build --workspace "${suites[@]}" --locked
images/netboot/build.sh --out target/images/netboot
made target/images/os/tiny.json images/os/{disk.sh,tiny.sh,tiny} || images/os/tiny.sh --out target/images/os
if [ "$mode" != --quick ] && [ "$mode" != --chaos ]; then
  made target/images/os/debian.json images/os/{disk.sh,debian.sh,debian} || images/os/debian.sh --out target/images/os
fi
if [ -z "$mode" ] || [ "$mode" = --setup ]; then
  for component in hub agent; do
    images/$component/build.sh --profile container --out target/images/containers/$component.tar
  done
fi
[ "$mode" != --setup ] || exit 0

say "Peers' versions"
{
  qemu-system-x86_64 --version | first
  libvirtd --version
  "$cache/sushy/bin/pip" list --disable-pip-version-check 2>/dev/null | grep -i sushy-tools
  "${TEST_ASSET_KUBE_APISERVER:-${KUBEBUILDER_ASSETS:-$cache/kubernetes-1.36.3}/kube-apiserver}" --version
  "${TEST_ASSET_KUBE_CONTROLLER_MANAGER:-$cache/kubernetes-1.36.3/kube-controller-manager}" --version
  "${TEST_ASSET_ETCD:-${KUBEBUILDER_ASSETS:-$cache/kubernetes-1.36.3}/etcd}" --version | first
  kubectl version --client 2>/dev/null | first
  dnsmasq --version | first
} | sed 's/^/    /'

passed=0 failed=0 broken=()
# suite NAME COMMAND…: runs it, adds its counts up. nextest closes with "Summary […] N tests run: P passed, F failed, …".
suite() {
  local name=$1 log=$logs/$1.log summary; shift
  say "Suite $name"
  local status=0
  "$@" 2>&1 | tee "$log" || status=$?
  summary=$(sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -E '^ *Summary \[' | tail -1 || true)
  local good bad
  good=$(grep -oE '[0-9]+ passed' <<<"$summary" | awk '{n += $1} END {print n + 0}' || true)
  bad=$(grep -oE '[0-9]+ (failed|timed out)' <<<"$summary" | awk '{n += $1} END {print n + 0}' || true)
  # A suite that did not run, or ended badly without naming a test, is a failure all the same.
  if [ "$status" != 0 ] && [ "$bad" = 0 ] || [ "$good" = 0 ]; then bad=$((bad + 1)); fi
  passed=$((passed + good)) failed=$((failed + bad))
}

# program NAME COMMAND…: the same for a program that prints a table of its own; it passes or fails as a whole.
program() {
  local name=$1 log=$logs/$1.log; shift
  say "$name"
  if "$@" 2>&1 | tee "$log"; then passed=$((passed + 1)); else failed=$((failed + 1)) broken+=("$name"); fi
}
finish() {
  # What nextest says of its own failures at the end, for the programs.
  for name in ${broken[@]+"${broken[@]}"}; do
    printf '\n        FAIL vitistack-tests::programs %s\n' "$name"
    tail -60 "$logs/$name.log"
  done
  printf '\n%s passed, %s failed, 0 skipped\n' "$passed" "$failed"
  [ "$failed" = 0 ]
}

if [ "$mode" = --bench ]; then
  say "Release build"
  cargo build --release --workspace --bins --locked
  program bench target/release/bench --json target/bench.json
  finish; exit
fi

if [ "$mode" = --chaos ]; then
  tests/fault/build.sh
  program chaos target/debug/chaos --json target/chaos.json
  program power-cut target/debug/power-cut --json target/power-cut.json
  suite cuts cargo nextest run --workspace --test wire --locked --no-fail-fast cuts::
  suite line cargo nextest run --workspace --test road --locked --no-fail-fast road::line::
  program defects tests/defects/run.sh
  say "What the programs say"
  for name in chaos power-cut defects; do printf '%s: %s\n' "$name" "$(tail -1 "$logs/$name.log")"; done
  finish; exit
fi

suite unit cargo nextest run --workspace --locked --no-fail-fast
# It prints the table of what is equal and what may differ.
suite conformance cargo nextest run --workspace --test conformance --locked --no-fail-fast --success-output final
suite apis cargo nextest run --workspace --test apis --locked --no-fail-fast
suite bmc cargo nextest run --workspace --test bmc --locked --no-fail-fast
if [ "$mode" != --quick ]; then
  suite images cargo nextest run --workspace --test images --locked --no-fail-fast
  suite road cargo nextest run --workspace --test road --locked --no-fail-fast
  echo "servers started: $(awk '{n += $1} END {print n + 0}' "$VITISTACK_BOOTS")"
  tests/fault/build.sh
  program chaos target/debug/chaos --short
  program power-cut target/debug/power-cut --short
  # Boots are in the road; the groups that boot servers take minutes even when they are short.
  program bench target/debug/bench footprint agents machines --short --programs target/debug
fi
finish

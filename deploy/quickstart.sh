#!/usr/bin/env bash
# From nothing to a bare-metal server that runs its own operating system, on one Debian 12 machine with Rust and root.
#
#   deploy/quickstart.sh          Debian 12 with your user data and a fresh ssh key
#   deploy/quickstart.sh --tiny   a tiny system that phones home: minutes less to build and to boot
#   … --once                      tear everything down at the end; exit 0 only if the Machine ran and its guest answered
#   … --down                      only remove what an earlier run left
#   … --dir DIR                   where the site lives (default /tmp/viti-quickstart)
#   … --bios                      a server with a BIOS instead of UEFI
#
# Running it again is safe: it begins by removing what an earlier run left, also where DIR itself is gone.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd); cd "$here"
image=debian once=no only_down=no dir=/tmp/viti-quickstart firmware=uefi
api=127.0.0.1:16443 namespace=edge

say() { printf '\n\033[1m==> %s\033[0m\n' "$*"; }
die() { echo "quickstart: $*" >&2; exit 1; }

while [ $# -gt 0 ]; do
  case $1 in
    --tiny) image=tiny ;;
    --once) once=yes ;;
    --down) only_down=yes ;;
    --bios) firmware=bios ;;
    --dir) dir=${2:?--dir needs a directory}; shift ;;
    -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) die "unknown argument $1; see --help" ;;
  esac
  shift
done

[ "$(id -u)" = 0 ] || die "needs root: it makes a network namespace and starts libvirt in it (sudo -E $0)"

stop() {
  local pid
  [ -s "$dir/$1.pid" ] || return 0
  pid=$(cat "$dir/$1.pid"); rm -f "$dir/$1.pid"
  kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.1; done
  kill -9 "$pid" 2>/dev/null || true
}

down() {
  stop agent; stop hub; stop images
  # Without DIR too: the network and what runs in it outlive a DIR that was removed by hand.
  deploy/site.sh down --dir "$dir"
  rm -rf "$dir"
}

if [ "$only_down" = yes ]; then down; echo "removed $dir and everything in it"; exit 0; fi

say "Removing what an earlier run left"
down
# Before the minutes of building, not after them.
if (exec 3<>"/dev/tcp/${api%:*}/${api#*:}") 2>/dev/null; then
  die "$api, where the hub would serve its API, is taken; 'ss -ltnp sport = :${api#*:}' says by what"
fi

say "What this machine still needs"
deploy/install.sh site

say "Building hub, agent and kubectl-viti (release; the first time takes some minutes)"
cargo build --release --locked -p vitistack-hub -p vitistack-agent -p kubectl-viti
bin=${CARGO_TARGET_DIR:-$here/target}/release

say "Building the netboot image and the operating system image ($image)"
images/netboot/build.sh --out target/images/netboot
[ -s "target/images/os/$image.json" ] || "images/os/$image.sh" --out target/images/os

say "Making a site: a network of its own, one server, its BMC"
mkdir -p "$dir"; chmod 0700 "$dir"
password=$(openssl rand -hex 12)
finish() {
  local code=$?
  [ $code -eq 0 ] || failed
  if [ $code -ne 0 ] || [ "$once" = yes ]; then down; fi
  exit $code
}
failed() {
  echo; echo "quickstart: it did not work out. The last words of each part:" >&2
  for log in hub agent; do echo "--- $log.log"; tail -n 15 "$dir/$log.log" 2>/dev/null || true; done >&2
  echo "--- server's serial port"; tail -n 15 "$dir/edge-server-1.serial" 2>/dev/null >&2 || true
}
trap finish EXIT
trap 'exit 130' INT TERM
VITISTACK_BMC_PASSWORD=$password deploy/site.sh up --dir "$dir" --server "name=edge-server-1,firmware=$firmware,size=8G"
fact() { jq -r "$1" "$dir/site.json"; }
inside() { nsenter --net="/run/netns/$(fact .namespace)" "$@"; }
background() { local name=$1; shift; "$@" </dev/null >"$dir/$name.log" 2>&1 & echo $! >"$dir/$name.pid"; }
background images nsenter --net="/run/netns/$(fact .namespace)" \
  python3 -m http.server 8088 --bind 127.0.0.1 --directory "$here/target/images/os"
echo "server edge-server-1: BMC $(fact '.servers[0].bmc'), boot NIC $(fact '.servers[0].mac'), blank disk"

say "Starting the hub (standalone: it serves the Kubernetes API by itself)"
hub_address=$(fact .hub_address):7443
background hub "$bin/vitistack-hub" standalone --data-dir "$dir/hub" --api "$api" --listen "$hub_address" \
  --advertise "$hub_address" --http 127.0.0.1:0 --ready-file "$dir/hub.ready"
for _ in $(seq 300); do [ -s "$dir/hub.ready" ] && break; kill -0 "$(cat "$dir/hub.pid")" 2>/dev/null || exit 1; sleep 0.1; done
[ -s "$dir/hub.ready" ] || die "the hub did not come up within 30 s"
export KUBECONFIG=$dir/hub/kubeconfig
kubectl version 2>/dev/null | grep Server || true

say "Enrolling an agent at the site with a join token"
kubectl apply -f deploy/examples/edge-site/1-namespace.yaml
(umask 077; "$bin/kubectl-viti" token create --site edge-west --namespaces "$namespace" --ttl 10m >"$dir/token")
cat >"$dir/agent.toml" <<TOML
data_dir = "$dir/agent"
hub = "$hub_address"
token_file = "$dir/token"
name = "edge-1"

[netboot]
interface = "br0"
mode = "own"
range = ["10.99.0.100", "10.99.0.200"]
assets = "$here/target/images/netboot"
TOML
background agent nsenter --net="/run/netns/$(fact .namespace)" "$bin/vitistack-agent" run --config "$dir/agent.toml"

say "Applying deploy/examples/edge-site: Datacenter, MachineProvider, BareMetalHost, Machine"
[ -s "$dir/id" ] || ssh-keygen -q -t ed25519 -N '' -C quickstart -f "$dir/id"
described=target/images/os/$image.json
mode=UEFI; [ $firmware = uefi ] || mode=Legacy
mkdir -p "$dir/manifests"
for file in deploy/examples/edge-site/*.yaml; do
  # The example names a server, a password and an image that do not exist; these are ours.
  sed -e "s|redfish+https://192.0.2.10/redfish/v1/Systems/1|$(fact '.servers[0].bmc')|" \
    -e "s|52:54:00:00:00:01|$(fact '.servers[0].mac')|" \
    -e "s|bootMode: UEFI|bootMode: $mode|" \
    -e "s|replace-this-password|$password|" \
    -e "s|https://images.example.com/debian-12.raw.zst|http://127.0.0.1:8088/$(jq -r .file "$described")|" \
    -e "s|sha256:0\{64\}|$(jq -r .digest "$described")|" \
    -e "s|ssh-ed25519 [^ ]* [^ \"]*|$(cat "$dir/id.pub")|" "$file" >"$dir/manifests/$(basename "$file")"
done
chmod -R go= "$dir/manifests"
kubectl apply --validate=strict -f "$dir/manifests"

say "Watching Machine web-1 (the server really boots, under emulation: be patient)"
SECONDS=0 deadline=1200 last='' machine=$(jq -r 'select(.kind=="Machine").metadata.name' < <(kubectl get -f "$dir/manifests" -o json | jq -c '.items[]') | sed -n 1p)
while :; do
  status=$(kubectl get machine -n "$namespace" "$machine" -o json)
  line=$(jq -r '[.status.phase // "Pending",
      ((.status.conditions // [])[] | select(.type=="Ready") | "\(.reason): \(.message)"),
      (if (.status.progress.totalBytes // 0) > 0 then "\((.status.progress.writtenBytes // 0)/1048576|floor) of \(.status.progress.totalBytes/1048576|floor) MiB" else empty end)
    ] | join("  ")' <<<"$status")
  host=$(kubectl get vbmh -n "$namespace" -o jsonpath='{.items[0].status.phase}' 2>/dev/null || true)
  line="host ${host:-Registering} | machine $line"
  [ "$line" = "$last" ] || { printf '%4d s  %s\n' "$SECONDS" "$line"; last=$line; }
  ready=$(jq -r '(.status.conditions // [])[] | select(.type=="Ready") | .status' <<<"$status")
  [ "$ready" = True ] && break
  [ $SECONDS -lt $deadline ] || die "the Machine is not Running after 20 minutes: $line"
  sleep 1
done

address=$(jq -r '.status.ipAddresses[0]' <<<"$status")
uid=$(jq -r .metadata.uid <<<"$status")
say "The guest answers"
ssh_options=(-i "$dir/id" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=10 -o LogLevel=ERROR)
answered=no
for _ in $(seq 60); do
  if [ "$image" = tiny ]; then
    inside curl -sf --max-time 5 "http://$address/" | grep "$uid" && answered=yes && break
  else
    inside ssh "${ssh_options[@]}" "debian@$address" 'uname -a; cat /etc/vitistack-quickstart' && answered=yes && break
  fi
  sleep 2
done
[ "$answered" = yes ] || die "the Machine is Running, but nothing answers at $address"

kubectl get datacenters,machineproviders,kubernetesproviders,vbmh,machines -n "$namespace"
if [ "$once" = yes ]; then
  say "Machine $machine is Running at $address after $SECONDS s; tearing down (--once)"
  exit 0
fi
trap - EXIT
cat <<NEXT

Machine $machine is Running at $address. Try next:

  export KUBECONFIG=$KUBECONFIG
  kubectl describe machine -n $namespace $machine
  kubectl explain machine.spec.os
  $bin/kubectl-viti agents
  nsenter --net=/run/netns/$(fact .namespace) $([ "$image" = tiny ] && echo "curl http://$address/" || echo "ssh -i $dir/id debian@$address")
  tail -f $dir/edge-server-1.serial                                    # what the server prints
  kubectl patch machine -n $namespace $machine --type=merge -p '{"spec":{"powerState":"Off"}}'
  kubectl delete machine -n $namespace $machine                                     # cleans the disk and frees the host
  deploy/quickstart.sh --down
NEXT

#!/usr/bin/env bash
# A site to try VitiStack on: servers with a BMC on a network of their own, on one Linux machine.
#
#   site.sh up   --dir DIR [--server SPEC]...   make the site, write DIR/site.json
#   site.sh down --dir DIR                      remove everything that "up" made
#
# SPEC is comma-separated key=value: name (required), firmware=uefi|bios, disk=virtio|sata, nic=virtio|e1000e,
# size=4G, mac=52:54:00:.., http=yes (the firmware tries HTTP boot only), disks=1|2.
#
# The site is a network namespace with a bridge (10.99.0.1/24), a libvirt of its own that runs the servers in QEMU, and
# sushy-emulator as their BMC (https://127.0.0.1:8443 inside the namespace). A veth pair links it to this machine:
# 10.98.N.1 here, 10.98.N.2 there. There is no route to anywhere else. Needs root; needs what deploy/install.sh installs.
set -euo pipefail

die() { echo "site.sh: $*" >&2; exit 1; }

verb=${1:-}; [ $# -gt 0 ] && shift
dir='' servers=()
while [ $# -gt 0 ]; do
  case $1 in
    --dir) dir=${2:?--dir needs a directory}; shift 2 ;;
    --server) servers+=("${2:?--server needs key=value pairs}"); shift 2 ;;
    *) die "unknown argument $1; allowed: --dir DIR, --server SPEC" ;;
  esac
done
[ -n "$dir" ] || die "--dir DIR is missing"
[ "$(id -u)" = 0 ] || die "needs root: it makes network namespaces and starts libvirt"
mkdir -p "$dir"; dir=$(cd "$dir" && pwd)
[ ${#dir} -le 60 ] || die "--dir $dir is too long: a unix socket below it may have 107 characters at most"

# The namespace's name comes from the directory; the veth pair's number is the first that is free, and is kept there.
ns="viti-$(printf %s "$dir" | sha256sum | cut -c1-8)"
boot_address=10.99.0.1
number=$(cat "$dir/number" 2>/dev/null || echo 0)
libvirt_uri="qemu+unix:///system?socket=$dir/libvirt/run/libvirt-sock"
venv=${VITISTACK_SUSHY:-${XDG_CACHE_HOME:-$HOME/.cache}/vitistack/sushy}

inside() { nsenter --net="/run/netns/$ns" "$@"; }

# background NAME COMMAND…: starts it in a session of its own, output to DIR/NAME.log, its process id to DIR/NAME.pid.
background() {
  local name=$1; shift
  setsid "$@" </dev/null >"$dir/$name.log" 2>&1 &
  echo $! >"$dir/$name.pid"
}

stop() {
  local pid
  [ -s "$dir/$1.pid" ] || return 0
  pid=$(cat "$dir/$1.pid"); rm -f "$dir/$1.pid"
  # The whole session: nsenter and unshare exec, but a Python server may have forked.
  kill -- "-$pid" 2>/dev/null || kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 50); do kill -0 -- "-$pid" 2>/dev/null || return 0; sleep 0.1; done
  kill -9 -- "-$pid" 2>/dev/null || true
}

# until_true SECONDS WHAT COMMAND…
until_true() {
  local seconds=$1 what=$2 i; shift 2
  for i in $(seq $((seconds * 5))); do "$@" >/dev/null 2>&1 && return 0; sleep 0.2; done
  die "$what did not come up within $seconds s; see the logs in $dir"
}

network() {
  ip netns add "$ns"
  ip -n "$ns" link set lo up
  # The peer end is named inside the namespace. Adding the link is the claim of its number: two sites may come up at once.
  local first=$((RANDOM % 250)) try
  for try in $(seq 0 249); do
    number=$(((first + try) % 250 + 1))
    ip link add "vs$number" type veth peer name uplink netns "$ns" 2>/dev/null && break
    number=0
  done
  [ "$number" != 0 ] || die "no free link number: 250 sites are up"
  echo "$number" >"$dir/number"
  hub_address=10.98.$number.1 agent_address=10.98.$number.2
  ip addr add "$hub_address/30" dev "vs$number"; ip link set "vs$number" up
  ip -n "$ns" addr add "$agent_address/30" dev uplink; ip -n "$ns" link set uplink up
  ip -n "$ns" link add br0 type bridge forward_delay 0 stp_state 0
  ip -n "$ns" addr add "$boot_address/24" dev br0
  ip -n "$ns" link set br0 up
}

libvirt() {
  local base=$dir/libvirt
  mkdir -p "$base"/{etc,run,lib,log,cache,pool}
  cp -r /etc/libvirt/. "$base/etc/"; rm -rf "$base/etc/qemu/networks"
  printf 'auth_unix_ro = "none"\nauth_unix_rw = "none"\n' >"$base/etc/libvirtd.conf"
  # Root inside a sandbox without cgroups, AppArmor or virtlogd.
  printf '%s\n' 'user = "root"' 'group = "root"' 'dynamic_ownership = 0' 'remember_owner = 0' \
    'security_driver = "none"' 'namespaces = []' 'cgroup_controllers = []' 'stdio_handler = "file"' >"$base/etc/qemu.conf"
  mkdir -p /run/libvirt /var/lib/libvirt /var/log/libvirt /var/cache/libvirt
  # nsenter and not "ip netns exec": the latter hides /sys/fs/cgroup from libvirt.
  background libvirtd nsenter --net="/run/netns/$ns" unshare --mount --propagation private bash -c "
    mount --bind '$base/etc' /etc/libvirt && mount --bind '$base/run' /run/libvirt &&
    mount --bind '$base/lib' /var/lib/libvirt && mount --bind '$base/log' /var/log/libvirt &&
    mount --bind '$base/cache' /var/cache/libvirt && exec /usr/sbin/libvirtd --pid-file '$base/libvirtd.pid'"
  until_true 60 libvirtd virsh -c "$libvirt_uri" version
  virsh -q -c "$libvirt_uri" pool-define-as default dir --target "$base/pool"
  virsh -q -c "$libvirt_uri" pool-start default
}

# field SPEC KEY DEFAULT
field() {
  local value; value=$(tr ',' '\n' <<<"$1" | sed -n "s/^$2=//p" | sed -n 1p)
  printf '%s' "${value:-$3}"
}

# server INDEX SPEC: defines a domain and prints its line of site.json.
server() {
  local index=$1 spec=$2 name firmware disk nic size mac http disks uuid loader='' rom='' extra='' target bus second=''
  name=$(field "$spec" name ''); [ -n "$name" ] || die "--server $spec: name= is missing"
  firmware=$(field "$spec" firmware uefi) disk=$(field "$spec" disk virtio) nic=$(field "$spec" nic virtio)
  size=$(field "$spec" size 4G) http=$(field "$spec" http no) disks=$(field "$spec" disks 1)
  mac=$(field "$spec" mac "52:54:00:99:$(printf '%02x:%02x' "$number" "$index")")
  uuid=$(printf '%s/%s' "$dir" "$name" | sha256sum | sed -E 's/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*/\1-\2-4\3-8\4-\5/')
  # A /dev/kvm alone proves nothing: without vmx or svm the guest hangs in its firmware.
  local domain_type=qemu; grep -qwE 'vmx|svm' /proc/cpuinfo && [ -w /dev/kvm ] && domain_type=kvm
  case $firmware in
    uefi)
      loader="<loader readonly='yes' secure='no' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.secboot.fd</loader>
    <nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'>$dir/$name.vars</nvram>"
      rom="<rom enabled='no'/>" ;;
    bios) loader="<loader type='rom'>/usr/share/seabios/bios-256k.bin</loader>" ;;
    *) die "--server $spec: firmware=$firmware; allowed: uefi, bios" ;;
  esac
  case $disk in
    virtio) target=vda bus=virtio ;;
    sata) target=sda bus=sata ;;
    *) die "--server $spec: disk=$disk; allowed: virtio, sata" ;;
  esac
  case $nic in virtio | e1000e) ;; *) die "--server $spec: nic=$nic; allowed: virtio, e1000e" ;; esac
  # The firmware is told to try HTTP boot and not PXE.
  [ "$http" = yes ] && extra="<qemu:commandline>
    <qemu:arg value='-fw_cfg'/><qemu:arg value='name=opt/org.tianocore/IPv4PXESupport,string=n'/>
    <qemu:arg value='-fw_cfg'/><qemu:arg value='name=opt/org.tianocore/IPv6PXESupport,string=n'/>
  </qemu:commandline>"
  truncate -s "$size" "$dir/$name.img"
  if [ "$disks" = 2 ]; then
    truncate -s "$size" "$dir/$name-2.img"
    second="<disk type='file' device='disk'><driver name='qemu' type='raw' cache='unsafe'/><source file='$dir/$name-2.img'/>
      <target dev='${target%a}b' bus='$bus'/><serial>D2-$name</serial></disk>"
  fi
  cat >"$dir/$name.xml" <<XML
<domain type='$domain_type' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>$name</name><uuid>$uuid</uuid><memory unit='MiB'>1024</memory><vcpu>1</vcpu>
  <sysinfo type='smbios'><system><entry name='serial'>SN-$name</entry><entry name='uuid'>$uuid</entry></system></sysinfo>
  <os><type arch='x86_64' machine='q35'>hvm</type>$loader<boot dev='hd'/><smbios mode='sysinfo'/></os>
  <features><acpi/><smm state='on'/></features>
  <on_reboot>restart</on_reboot>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='unsafe' discard='unmap'/>
      <source file='$dir/$name.img'/><target dev='$target' bus='$bus'/><serial>D1-$name</serial>
    </disk>$second
    <interface type='bridge'>
      <source bridge='br0'/><mac address='$mac'/><model type='$nic'/>$rom
    </interface>
    <serial type='file'><source path='$dir/$name.serial' append='on'/><target port='0'/></serial>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
  $extra
</domain>
XML
  virsh -q -c "$libvirt_uri" define "$dir/$name.xml" >&2
  printf '{"name":"%s","uuid":"%s","mac":"%s","firmware":"%s","bmc":"%s","disk":"%s","serial":"%s"}' "$name" "$uuid" "$mac" \
    "$firmware" "redfish+https://127.0.0.1:8443/redfish/v1/Systems/$uuid" "$dir/$name.img" "$dir/$name.serial"
}

# sushy-emulator speaks HTTP Basic with bcrypt over exactly TLS 1.2, as many real BMCs do.
bmc() {
  printf '%s' "${VITISTACK_BMC_PASSWORD:-correct-horse}" | htpasswd -niB admin | sed -n 1p >"$dir/bmc.htpasswd"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=bmc \
    -addext "subjectAltName=IP:127.0.0.1,DNS:localhost" -keyout "$dir/bmc.key" -out "$dir/bmc.crt" 2>/dev/null
  chmod 0600 "$dir/bmc.key"
  cat >"$dir/sushy.conf" <<CONF
SUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'
SUSHY_EMULATOR_LISTEN_PORT = 8443
SUSHY_EMULATOR_SSL_CERT = '$dir/bmc.crt'
SUSHY_EMULATOR_SSL_KEY = '$dir/bmc.key'
SUSHY_EMULATOR_AUTH_FILE = '$dir/bmc.htpasswd'
SUSHY_EMULATOR_LIBVIRT_URI = '$libvirt_uri'
SUSHY_EMULATOR_STATE_DIR = '$dir/sushy'
SUSHY_EMULATOR_STORAGE_POOL = 'default'
SUSHY_EMULATOR_BOOT_LOADER_MAP = {
    'UEFI': {'x86_64': '/usr/share/OVMF/OVMF_CODE_4M.secboot.fd'},
    'Legacy': {'x86_64': '/usr/share/seabios/bios-256k.bin'},
}
SUSHY_EMULATOR_SECURE_BOOT_ENABLED_NVRAM = '/usr/share/OVMF/OVMF_VARS_4M.ms.fd'
SUSHY_EMULATOR_SECURE_BOOT_DISABLED_NVRAM = '/usr/share/OVMF/OVMF_VARS_4M.fd'
CONF
  mkdir -p "$dir/sushy"
  bmc_start
}

bmc_start() {
  background sushy nsenter --net="/run/netns/$ns" env -u REQUESTS_CA_BUNDLE -u CURL_CA_BUNDLE \
    "$venv/bin/sushy-emulator" --config "$dir/sushy.conf"
  until_true 30 sushy-emulator nsenter --net="/run/netns/$ns" \
    curl -sf --cacert "$dir/bmc.crt" https://127.0.0.1:8443/redfish/v1/ -o /dev/null
}

up() {
  [ -e "/run/netns/$ns" ] && die "the site of $dir is up already; site.sh down --dir $dir removes it"
  [ -x "$venv/bin/sushy-emulator" ] || die "$venv/bin/sushy-emulator is missing; deploy/install.sh site installs it"
  trap 'down; exit 1' ERR INT TERM
  network
  libvirt
  local lines='' index=0 spec
  for spec in "${servers[@]}"; do
    index=$((index + 1)); lines+="${lines:+,}
    $(server "$index" "$spec")"
  done
  bmc
  trap - ERR INT TERM
  cat >"$dir/site.json" <<JSON
{ "namespace": "$ns", "bridge": "br0", "hub_address": "$hub_address", "agent_address": "$agent_address",
  "boot_address": "$boot_address", "libvirt_uri": "$libvirt_uri", "bmc_ca": "$dir/bmc.crt", "bmc_username": "admin",
  "servers": [$lines
  ] }
JSON
}

down() {
  local domain pid
  for domain in "$dir"/*.xml; do
    [ -e "$domain" ] || continue
    timeout 10 virsh -q -c "$libvirt_uri" destroy "$(basename "$domain" .xml)" >/dev/null 2>&1 || true
  done
  stop sushy; stop libvirtd
  if [ -n "${VITISTACK_BOOTS:-}" ]; then
    cat "$dir"/libvirt/log/qemu/*.log 2>/dev/null | grep -c 'starting up libvirt' >>"$VITISTACK_BOOTS" || true
  fi
  if [ -e "/run/netns/$ns" ]; then
    for pid in $(ip netns pids "$ns"); do kill -9 "$pid" 2>/dev/null || true; done
    ip netns del "$ns"
  fi
  ip link del "vs$number" 2>/dev/null || true
  rm -f "$dir/site.json" "$dir/number"
}

case $verb in
  up) up ;;
  down) down ;;
  bmc-stop) stop sushy ;;
  bmc-start) bmc_start ;;
  *) die "say: site.sh up|down|bmc-stop|bmc-start --dir DIR [--server SPEC]..." ;;
esac

#!/bin/bash
# Builds the netboot image: the assets that the agent serves to servers that boot over the network.
#
#   build.sh --out DIR [--installer BIN] [--kernel VERSION]
#
# DIR gets vmlinuz, initramfs, undionly.kpxe and snponly.efi. Without --installer the installer is built with cargo.
# Needs Debian's linux-image-amd64, ipxe, kmod, cpio and zstd; no root.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out="" installer="" version=""
while [ $# -gt 0 ]; do
    case $1 in
        --out) out=$2; shift 2 ;;
        --installer) installer=$2; shift 2 ;;
        --kernel) version=$2; shift 2 ;;
        *) echo "usage: build.sh --out DIR [--installer BIN] [--kernel VERSION]" >&2; exit 2 ;;
    esac
done
[ -n "$out" ] || { echo "build.sh: --out DIR is required" >&2; exit 2; }
PATH=$PATH:/usr/sbin:/sbin

# The cloud flavour has no drivers for physical servers.
if [ -z "$version" ]; then
    version=$(find /lib/modules -mindepth 1 -maxdepth 1 -name '*-amd64' ! -name '*cloud*' ! -name '*rt-*' -printf '%f\n' | sort -V | tail -1)
fi
[ -n "$version" ] && [ -f "/boot/vmlinuz-$version" ] || { echo "build.sh: no kernel: apt-get install linux-image-amd64" >&2; exit 1; }
[ -f /usr/lib/ipxe/undionly.kpxe ] || { echo "build.sh: no iPXE: apt-get install ipxe" >&2; exit 1; }
for tool in cpio zstd depmod modprobe; do
    command -v $tool >/dev/null || { echo "build.sh: $tool is missing: apt-get install cpio zstd kmod" >&2; exit 1; }
done

if [ -z "$installer" ]; then
    # Static by way of glibc: a musl target is not to be had, and an initramfs has no dynamic loader.
    target=x86_64-unknown-linux-gnu
    (cd "$here/../.." && RUSTFLAGS="-C target-feature=+crt-static" cargo build --quiet --release -p vitistack-installer --target $target)
    installer=${CARGO_TARGET_DIR:-$here/../../target}/$target/release/vitistack-installer
fi
if readelf -l "$installer" 2>/dev/null | grep -q INTERP; then
    echo "build.sh: $installer is not static: build it with RUSTFLAGS=\"-C target-feature=+crt-static\" --target x86_64-unknown-linux-gnu" >&2
    exit 1
fi

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/root
modules=$root/lib/modules/$version
mkdir -p "$root"/{dev,proc,sys,sbin} "$modules"

wanted=$(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$here/modules.list")
for module in $wanted; do
    # Built-in modules print "builtin …" and need no file; an unknown name is a mistake in the list.
    modprobe -S "$version" --show-depends --ignore-install "$module" >>"$stage/depends" || {
        echo "build.sh: $version has no module $module: correct modules.list" >&2
        exit 1
    }
done
awk '$1 == "insmod" { print $2 }' "$stage/depends" | sort -u | while read -r file; do
    relative=${file#*/lib/modules/"$version"/}
    install -D -m 644 "$file" "$modules/$relative"
done
cp "/lib/modules/$version"/modules.{order,builtin,builtin.modinfo} "$modules/"
depmod -b "$root" "$version"
# The installer reads the text files; the rest is for kmod.
find "$modules" -maxdepth 1 -type f ! -name modules.alias ! -name modules.dep ! -name modules.softdep -delete

install -m 755 "$installer" "$root/init"
# The kernel asks for crypto algorithms through this path.
ln -s /init "$root/sbin/modprobe"

mkdir -p "$out"
find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . -mindepth 1 | LC_ALL=C sort | cpio --quiet --reproducible -o -H newc -R 0:0) | zstd -q -15 -T0 -o "$stage/initramfs"
install -m 644 "$stage/initramfs" "$out/initramfs"
install -m 644 "/boot/vmlinuz-$version" "$out/vmlinuz"
install -m 644 /usr/lib/ipxe/undionly.kpxe "$out/undionly.kpxe"
install -m 644 /usr/lib/ipxe/snponly.efi "$out/snponly.efi"

kernel=$(stat -c %s "$out/vmlinuz") initramfs=$(stat -c %s "$out/initramfs") limit=$((30 << 20))
echo "netboot image: kernel $version $((kernel >> 10)) KiB, initramfs $((initramfs >> 10)) KiB ($(find "$modules" -name '*.ko*' | wc -l) modules)"
if [ $((kernel + initramfs)) -gt $limit ]; then
    echo "build.sh: kernel and initramfs exceed $((limit >> 20)) MiB: shorten modules.list" >&2
    exit 1
fi

#!/bin/bash
# Builds the tiny OS: a disk image of a kernel and busybox that reads its NoCloud data, phones home and answers on TCP.
# It boots in seconds and proves an installation; it is for tests and for the quickstart's --tiny.
#
#   tiny.sh --out DIR [--kernel VERSION] [--cidata]
#
# The cloud flavour of the kernel has no SATA and no e1000e, so it is passed over.
# DIR gets tiny.raw, tiny.raw.gz, tiny.raw.zst and a .json of name, file, format, digest and size for each (tiny.json
# describes the .gz). --cidata puts an empty CIDATA partition into the image; without it the installer appends one.
# Needs Debian's linux-image-amd64, busybox-static, kmod, cpio, zstd, fdisk, mtools, dosfstools, syslinux,
# syslinux-common and systemd-boot-efi; no root.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out="" version="" cidata=""
while [ $# -gt 0 ]; do
    case $1 in
        --out) out=$2; shift 2 ;;
        --kernel) version=$2; shift 2 ;;
        --cidata) cidata=1; shift ;;
        *) echo "usage: tiny.sh --out DIR [--kernel VERSION] [--cidata]" >&2; exit 2 ;;
    esac
done
[ -n "$out" ] || { echo "tiny.sh: --out DIR is required" >&2; exit 2; }
PATH=$PATH:/usr/sbin:/sbin
. "$here/disk.sh"
need cpio:cpio zstd:zstd modprobe:kmod busybox:busybox-static sfdisk:fdisk mformat:mtools syslinux:syslinux
if [ -z "$version" ]; then
    version=$(find /lib/modules -mindepth 1 -maxdepth 1 -name '*-amd64' ! -name '*cloud*' ! -name '*rt-*' -printf '%f\n' | sort -V | tail -1)
fi
[ -n "$version" ] && [ -f "/boot/vmlinuz-$version" ] || { echo "tiny.sh: no kernel: apt-get install linux-image-amd64" >&2; exit 1; }

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/root
mkdir -p "$root"/{bin,dev,proc,sys,tmp,run,etc/acpi/PWRF,lib/modules,seed,www} "$out"

# Real hardware and the usual virtual one: the image must also come up where nothing is virtio.
modules="virtio_pci virtio_net virtio_blk virtio_scsi e1000 e1000e igb ahci ata_piix nvme sd_mod vfat nls_cp437 nls_ascii nls_utf8 button evdev"
for module in $modules; do
    modprobe -S "$version" --show-depends --ignore-install "$module"
done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$stage/order"
while read -r file; do cp "$file" "$root/lib/modules/"; done <"$stage/order"
sed 's#.*/#/lib/modules/#' "$stage/order" >"$root/etc/modules.order"

cp "$(command -v busybox)" "$root/bin/busybox"
install -m 755 "$here/tiny/init" "$root/init"
install -m 755 "$here/tiny/lease" "$root/etc/lease"
install -m 755 "$here/tiny/power-button" "$root/etc/acpi/PWRF/00000080"
find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . -mindepth 1 | LC_ALL=C sort | cpio --quiet --reproducible -o -H newc -R 0:0) | zstd -q -12 -T0 -o "$stage/initrd"

# MiB: 1 before the first partition, the ESP, the CIDATA partition if any, 1 for the backup partition table.
esp=16
disk=$stage/tiny.raw
size=$((2 + esp))
[ -z "$cidata" ] || size=$((size + 4))
truncate -s ${size}M "$disk"
{
    echo "label: gpt"
    echo "label-id: 8A6B3C1E-0D57-4E0B-9C2C-7E1F5D3B2A01"
    echo "start=2048, size=$((esp * 2048)), type=$ESP_TYPE, uuid=8A6B3C1E-0D57-4E0B-9C2C-7E1F5D3B2A02, name=esp, attrs=LegacyBIOSBootable"
    [ -z "$cidata" ] || echo "start=$(((1 + esp) * 2048)), size=$((4 * 2048)), type=$DATA_TYPE, uuid=8A6B3C1E-0D57-4E0B-9C2C-7E1F5D3B2A03, name=cidata"
} | sfdisk -q "$disk"
boot_partition "$disk" 1 $esp "/boot/vmlinuz-$version" "$stage/initrd" "console=tty0 console=ttyS0,115200 quiet loglevel=4 panic=10"
if [ -n "$cidata" ]; then
    mformat -i "$disk@@$(((1 + esp) << 20))" -v CIDATA -N 20231123 -T $((4 * 2048)) ::
fi

publish "$disk" "$out" tiny raw gz zst

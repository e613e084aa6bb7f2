#!/bin/bash
# Builds a small Debian bookworm with cloud-init and sshd, from Debian's packages alone, for BIOS and for UEFI.
#
#   debian.sh --out DIR [--kernel cloud|amd64] [--size MIB]
#
# DIR gets debian.raw.zst, its .json of name, file, format, digest and size, and debian.json (the same). The image has an
# ESP, an empty CIDATA partition for the NoCloud seed and an ext4 root that grows to its disk at the first boot. root
# cannot log in; user `debian` gets the seed's ssh keys. --kernel amd64 takes the kernel with drivers for physical
# servers (a larger image). Needs root (for files owned by root), no mounts of its own and no loop device, and Debian's
# mmdebstrap, e2fsprogs, fdisk, mtools, dosfstools, syslinux, syslinux-common, systemd-boot-efi and zstd.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out="" flavour=cloud size=900
while [ $# -gt 0 ]; do
    case $1 in
        --out) out=$2; shift 2 ;;
        --kernel) flavour=$2; shift 2 ;;
        --size) size=$2; shift 2 ;;
        *) echo "usage: debian.sh --out DIR [--kernel cloud|amd64] [--size MIB]" >&2; exit 2 ;;
    esac
done
[ -n "$out" ] || { echo "debian.sh: --out DIR is required" >&2; exit 2; }
case $flavour in
    # An initramfs that boots what clouds and virtual machines have, and is small: it is unpacked at each boot.
    cloud) kernel=linux-image-cloud-amd64 initramfs=(--essential-hook="copy-in $here/debian/initramfs-tools /etc") ;;
    # Three times the modules.
    amd64) kernel=linux-image-amd64 size=$((size + 500)) initramfs=() ;;
    *) echo "debian.sh: --kernel is cloud or amd64" >&2; exit 2 ;;
esac
[ "$(id -u)" = 0 ] || { echo "debian.sh: run it as root: the image's files belong to root" >&2; exit 1; }
PATH=$PATH:/usr/sbin:/sbin
. "$here/disk.sh"
need mmdebstrap:mmdebstrap mke2fs:e2fsprogs sfdisk:fdisk mformat:mtools syslinux:syslinux zstd:zstd

mkdir -p "$out"
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/root
packages=systemd-sysv,systemd-resolved,udev,dbus,kmod,iproute2,iputils-ping,netbase,cloud-init,cloud-guest-utils,fdisk,e2fsprogs,openssh-server,sudo,ca-certificates,initramfs-tools,zstd,$kernel
mmdebstrap --quiet --variant=minbase --mode=root --components=main --include=$packages \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Retries "5"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    "${initramfs[@]}" \
    --customize-hook="copy-in $here/debian/cloud /etc" \
    --customize-hook="copy-in $here/debian/kernel /etc" \
    --customize-hook="sh $here/debian/customize \"\$1\"" \
    bookworm "$root"

version=$(ls "$root/lib/modules")
install -m 644 "$root/boot/vmlinuz-$version" "$stage/vmlinuz"
install -m 644 "$root/boot/initrd.img-$version" "$stage/initrd"
rm -f "$root"/boot/vmlinuz-* "$root"/boot/initrd.img-*

# MiB: 1 before the first partition, ESP (with room for a second kernel during an upgrade), CIDATA, root, 1 for the backup partition table.
esp=$((16 + ($(stat -c %s "$stage/vmlinuz") + $(stat -c %s "$stage/initrd")) * 2 / 1048576)) seed=4
disk=$stage/debian.raw
truncate -s $((2 + esp + seed + size))M "$disk"
sfdisk -q "$disk" <<EOF
label: gpt
start=2048, size=$((esp * 2048)), type=$ESP_TYPE, name=esp, attrs=LegacyBIOSBootable
start=$(((1 + esp) * 2048)), size=$((seed * 2048)), type=$DATA_TYPE, name=cidata
start=$(((1 + esp + seed) * 2048)), size=$((size * 2048)), type=$ROOT_TYPE, name=root
EOF
boot_partition "$disk" 1 $esp "$stage/vmlinuz" "$stage/initrd" \
    "root=LABEL=root ro console=tty0 console=ttyS0,115200 net.ifnames=0 quiet"
mformat -i "$disk@@$(((1 + esp) << 20))" -v CIDATA -N 20231123 -T $((seed * 2048)) ::
mke2fs -q -t ext4 -L root -d "$root" -E offset=$(((1 + esp + seed) << 20)),lazy_itable_init=1,lazy_journal_init=1 "$disk" ${size}M

publish "$disk" "$out" debian zst

# Shell functions of the OS image recipes: disk images without root, mounts or loop devices. Sourced, not run.

ESP_TYPE=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
DATA_TYPE=0FC63DAF-8483-4772-8E79-3D69D8477DE4
ROOT_TYPE=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709
# mtools checks geometry that partitions in a file do not have.
export MTOOLS_SKIP_CHECK=1

# need TOOL:PACKAGE... : says what is missing and how to get it.
need() {
    local pair missing=""
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
    done
    [ -f /usr/lib/syslinux/mbr/gptmbr.bin ] || missing="$missing syslinux-common"
    [ -f /usr/lib/systemd/boot/efi/systemd-bootx64.efi ] || missing="$missing systemd-boot-efi"
    [ -z "$missing" ] || { echo "missing; install with: apt-get install$missing" >&2; return 1; }
}

# boot_partition DISK START_MIB SIZE_MIB KERNEL INITRD CMDLINE : a FAT partition that boots by BIOS and by UEFI.
boot_partition() {
    local disk=$1 start=$(($2 << 20)) sectors=$(($3 * 2048)) kernel=$4 initrd=$5 cmdline=$6
    local at="$disk@@$start" text
    text=$(mktemp -d)
    mformat -i "$at" -v ESP -N 20231122 -T $sectors ::
    mmd -i "$at" ::/EFI ::/EFI/BOOT ::/loader ::/loader/entries
    mcopy -i "$at" "$kernel" ::/vmlinuz
    mcopy -i "$at" "$initrd" ::/initrd
    printf 'DEFAULT linux\nPROMPT 0\nLABEL linux\n KERNEL /vmlinuz\n INITRD /initrd\n APPEND %s\n' "$cmdline" >"$text/syslinux.cfg"
    printf 'timeout 0\ndefault linux.conf\n' >"$text/loader.conf"
    printf 'title Linux\nlinux /vmlinuz\ninitrd /initrd\noptions %s\n' "$cmdline" >"$text/linux.conf"
    mcopy -i "$at" "$text/syslinux.cfg" ::/syslinux.cfg
    mcopy -i "$at" "$text/loader.conf" ::/loader/loader.conf
    mcopy -i "$at" "$text/linux.conf" ::/loader/entries/linux.conf
    mcopy -i "$at" /usr/lib/systemd/boot/efi/systemd-bootx64.efi ::/EFI/BOOT/BOOTX64.EFI
    syslinux --offset $start --install "$disk"
    # 440 bytes: what follows in the sector is the partition table.
    dd if=/usr/lib/syslinux/mbr/gptmbr.bin of="$disk" bs=440 count=1 conv=notrunc status=none
    rm -rf "$text"
}

# publish DISK DIR NAME PACKING... : the image in each packing, and a description of each; NAME.json is of the last
# packed form that was asked for first (gz before zst).
publish() {
    local disk=$1 dir=$2 name=$3 packing file format first=""
    shift 3
    # A description never stands beside an image that it does not describe.
    rm -f "$dir/$name.json"
    for packing in "$@"; do
        case $packing in
            raw) file=$name.raw format=raw ;;
            gz) file=$name.raw.gz format=gzip ;;
            zst) file=$name.raw.zst format=zstd ;;
        esac
        rm -f "$dir/$file.json"
        case $packing in
            raw) cp --sparse=always "$disk" "$dir/$file.new" ;;
            gz) gzip -n -6 -c "$disk" >"$dir/$file.new" ;;
            zst) zstd -q -f -9 -T0 "$disk" -o "$dir/$file.new" ;;
        esac
        mv "$dir/$file.new" "$dir/$file"
        describe "$dir" "$name" "$file" $format >"$dir/$file.json"
        if [ $packing != raw ] && [ -z "$first" ]; then
            first=$file
            cp "$dir/$file.json" "$dir/$name.json"
        fi
        echo "$dir/$file: $(stat -c %s "$dir/$file") bytes"
    done
}

# describe DIR NAME FILE FORMAT : JSON on stdout.
describe() {
    printf '{"name":"%s","file":"%s","format":"%s","digest":"sha256:%s","size":%s}\n' \
        "$2" "$3" "$4" "$(sha256sum "$1/$3" | cut -d' ' -f1)" "$(stat -c %s "$1/$3")"
}

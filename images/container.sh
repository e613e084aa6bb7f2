#!/bin/bash
# Builds a container image FROM scratch, without a registry and without a daemon, by Debian's buildah.
#
#   container.sh --component hub|agent --out FILE.tar [--binary BIN | --profile NAME] [--netboot DIR]
#
# FILE.tar is an OCI archive (`podman load`, `skopeo copy oci-archive:…`, `ctr images import`). Without --binary the
# component is built static with cargo, in the profile `release` unless told otherwise. --netboot puts the assets of
# images/netboot/build.sh into the agent's image, where its default configuration expects them. Needs root (or a user
# namespace) and Debian's buildah and ca-certificates.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
component="" out="" binary="" profile=release netboot=""
while [ $# -gt 0 ]; do
    case $1 in
        --component) component=$2; shift 2 ;;
        --out) out=$2; shift 2 ;;
        --binary) binary=$2; shift 2 ;;
        --profile) profile=$2; shift 2 ;;
        --netboot) netboot=$2; shift 2 ;;
        *) echo "usage: container.sh --component hub|agent --out FILE.tar [--binary BIN | --profile NAME] [--netboot DIR]" >&2; exit 2 ;;
    esac
done
[ -n "$component" ] && [ -n "$out" ] || { echo "container.sh: --component and --out are required" >&2; exit 2; }
[ -f "$here/$component/Containerfile" ] || { echo "container.sh: no component $component" >&2; exit 2; }
command -v buildah >/dev/null || { echo "container.sh: buildah is missing: apt-get install buildah" >&2; exit 1; }
[ -d /usr/share/ca-certificates/mozilla ] || { echo "container.sh: apt-get install ca-certificates" >&2; exit 1; }

package=vitistack-$component
if [ -z "$binary" ]; then
    # Nothing but the binary is in the image: it brings its C library along. Both programs in one call: a call for each
    # would build what they share twice, with other features.
    target=x86_64-unknown-linux-gnu
    (cd "$here/.." && RUSTFLAGS="-C target-feature=+crt-static" \
        cargo build --quiet --locked --profile "$profile" -p vitistack-hub -p vitistack-agent --target $target)
    # The one profile whose directory has another name.
    [ "$profile" != dev ] || profile=debug
    binary=${CARGO_TARGET_DIR:-$here/../target}/$target/$profile/$package
fi
if readelf -l "$binary" 2>/dev/null | grep -q INTERP; then
    echo "container.sh: $binary is not static: build it with RUSTFLAGS=\"-C target-feature=+crt-static\" --target x86_64-unknown-linux-gnu" >&2
    exit 1
fi

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/context/root
mkdir -p "$root/etc/ssl/certs" "$root/var/lib/vitistack"
# A temporary directory: a program without one fails where nobody looks.
install -d -m 1777 "$root/tmp"
install -D -m 755 "$binary" "$root/usr/bin/$package"
# Debian's own certificates and none that this machine trusts besides.
cat /usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
if [ -n "$netboot" ]; then
    for file in vmlinuz initramfs undionly.kpxe snponly.efi; do
        install -D -m 644 "$netboot/$file" "$root/usr/lib/vitistack/netboot/$file"
    done
fi

# Its own storage, thrown away: vfs and chroot need neither overlayfs nor a container runtime.
storage="--root $stage/storage --runroot $stage/run --storage-driver vfs"
buildah $storage bud --quiet --isolation chroot --timestamp 0 --tag "localhost/$package" \
    --file "$here/$component/Containerfile" "$stage/context" >/dev/null
mkdir -p "$(dirname "$out")"
rm -f "$out"
buildah $storage push --quiet "localhost/$package" "oci-archive:$out:$package"
echo "$out: $(stat -c %s "$out") bytes"

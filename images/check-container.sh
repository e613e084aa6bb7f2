#!/bin/bash
# Starts a container image once: check-container.sh FILE.tar [ARGUMENT...]
#
# The image is the OCI archive of container.sh. Its entry point is run with the arguments (default: --version) in the
# host's network. Of the host's files it sees only the directory CHECK_DIR, as /check, if that is set (a kubeconfig in it
# points the program at a server), and the file CHECK_BUNDLE, if that is set, in place of the image's CA certificates. The
# exit status is the program's.
set -euo pipefail

archive=$1
shift
[ $# -gt 0 ] || set -- --version
stage=$(mktemp -d)
container=""
storage="--root $stage/storage --runroot $stage/run --storage-driver vfs"
clean() {
    [ -z "$container" ] || buildah $storage rm "$container" >/dev/null 2>&1 || true
    rm -rf "$stage"
}
trap clean EXIT
container=$(buildah $storage from --quiet "oci-archive:$archive")
# An image may name only a path; the entry point is read from its configuration, since `buildah run` does not use it.
entry=$(buildah $storage inspect --format '{{index .OCIv1.Config.Entrypoint 0}}' "$container")
volumes=()
[ -z "${CHECK_DIR:-}" ] || volumes+=(--volume "$CHECK_DIR:/check:rw")
[ -z "${CHECK_BUNDLE:-}" ] || volumes+=(--volume "$CHECK_BUNDLE:/etc/ssl/certs/ca-certificates.crt:ro")
buildah $storage run --isolation chroot "${volumes[@]}" "$container" -- "$entry" "$@"

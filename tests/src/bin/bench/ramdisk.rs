//! Initramfs of peers: the agent's own, with its modules, and another program as PID 1.
//!
//! Kernel, modules and drivers are the same on both sides of a comparison, so that only the programs differ.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use vitistack_tests::peer;
use vitistack_tests::process::run;

/// Unpacks the initramfs of `target/images/netboot`, puts `init` in the installer's place (which stays as `/init.real`),
/// adds busybox and what `programs` need, and packs it into `out`.
pub(crate) fn build(out: &Path, init: &str, programs: &[&str]) -> anyhow::Result<()> {
    let stage = tempfile::tempdir()?;
    std::fs::write(stage.path().join("init"), init)?;
    let mut command = Command::new("bash");
    command
        .args(["-euo", "pipefail", "-c", PACK, "pack"])
        .arg(peer::image("netboot").join("initramfs"))
        .arg(stage.path())
        .arg(out)
        .args(programs);
    run(&mut command).map_err(|error| anyhow::anyhow!("{error}"))?;
    out.metadata().map(drop).context("nothing was packed")
}

/// Arguments: the initramfs, a directory to work in, the result, programs.
const PACK: &str = r#"
initramfs=$1 stage=$2 out=$3; shift 3
root=$stage/root; mkdir -p "$root"
zstd -qdc "$initramfs" | (cd "$root" && cpio --quiet -idm)
mv "$root/init" "$root/init.real"
ln -sfn /init.real "$root/sbin/modprobe"
install -m 755 "$stage/init" "$root/init"
mkdir -p "$root/bin" "$root/tmp"
cp "$(command -v busybox)" "$root/bin/busybox"
for program in "$@"; do
    file=$(command -v "$program")
    install -D -m 755 "$file" "$root/usr/bin/$(basename "$program")"
    # Libraries and the dynamic loader, each at its own path.
    ldd "$file" | grep -o '/[^ )]*' | sort -u | while read -r library; do
        install -D -m 755 "$library" "$root$library"
    done
done
(cd "$root" && find . -mindepth 1 | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) | zstd -q -3 -T0 -f -o "$out"
"#;

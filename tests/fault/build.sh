#!/usr/bin/env bash
# Builds the programs that can be killed at their fault points into target/fault: vitistack-agent, vitistack-hub and the
# netboot image in target/fault/netboot. The programs of target/debug are the normal ones again when it ends.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=target/fault
normal() { cargo build --workspace --bins --locked; }
trap normal EXIT

cargo build --workspace --bin vitistack-agent --bin vitistack-hub --locked \
  --features vitistack-agent/fault-points,vitistack-hub/fault-points
mkdir -p "$out"
for program in vitistack-agent vitistack-hub; do
  # Beside and renamed: one that runs cannot be written over.
  cp "target/debug/$program" "$out/$program.new"
  mv "$out/$program.new" "$out/$program"
done

# As images/netboot/build.sh does it, with the feature; that script makes the normal one again when it is next run.
target=x86_64-unknown-linux-gnu
RUSTFLAGS="-C target-feature=+crt-static" cargo build --release -p vitistack-installer --target $target --locked \
  --features fault-points
cp "target/$target/release/vitistack-installer" "$out/vitistack-installer"
# Nobody takes it for the normal one.
rm "target/$target/release/vitistack-installer"
images/netboot/build.sh --out "$out/netboot" --installer "$out/vitistack-installer"

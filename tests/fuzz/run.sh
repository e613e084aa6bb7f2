#!/usr/bin/env bash
# Fuzzes what outsiders can send: each target for some time, with coverage, on the pinned toolchain.
#
#   tests/fuzz/run.sh                      every target for 600 s
#   tests/fuzz/run.sh --seconds 30         … for 30 s
#   tests/fuzz/run.sh --seconds 30 dhcp    only this one (frames tokens dhcp tftp installer rows)
#
# Corpora grow in $XDG_CACHE_HOME/vitistack/fuzz; the protocol's golden bytes are among the seeds. A finding is written to
# target/fuzz/findings, printed, and makes the exit status 1.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); root=$(cd "$here/../.." && pwd)
seconds=600 targets=()
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=${2:?--seconds needs a number}; shift ;;
    frames | tokens | dhcp | tftp | installer | rows) targets+=("$1") ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "run.sh: unknown argument $1; see --help" >&2; exit 2 ;;
  esac
  shift
done
[ ${#targets[@]} -gt 0 ] || targets=(frames tokens dhcp tftp installer rows)
corpora=${XDG_CACHE_HOME:-$HOME/.cache}/vitistack/fuzz
findings=$root/target/fuzz/findings
triple=$(rustc -vV | sed -n 's/^host: //p')

# LLVM's coverage pass needs no nightly compiler; --target keeps it out of build scripts and macros.
cd "$here"
RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares" \
  cargo build --release --locked --target "$triple" --target-dir "$root/target/fuzz"

# hex FILE: the bytes that a file of hexadecimal digits names.
hex() { tr -d ' \n' <"$1" | perl -pe '$_ = pack("H*", $_)'; }
# bytes DIGITS
bytes() { printf %s "$1" | tr -d ' ' | perl -pe '$_ = pack("H*", $_)'; }

# seeds TARGET DIR
seeds() {
  local file name
  case $1 in
    frames) for file in "$root"/protocol/tests/golden/*.hex; do hex "$file" >"$2/$(basename "$file" .hex)"; done ;;
    tokens)
      printf 'vt1.0123456789.%s.%s' "$(printf 'ab%.0s' {1..16})" "$(printf 'cd%.0s' {1..32})" >"$2/token"
      openssl req -batch -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=x -outform DER \
        -addext 'subjectAltName=URI:spiffe://vitistack/site/edge-west/agent/edge-1' -out "$2/certificate" 2>/dev/null ;;
    dhcp)
      local head; head="0101060000000000000400$(printf '00%.0s' {1..17})525400990001$(printf '00%.0s' {1..202})63825363"
      name=0
      for options in 350101370401030f06ff 3501015d0200003c09505845436c69656e744d0469505845ff \
        350103320a0a0a0a360a0a0a0aff 3501015d0200103c0a48545450436c69656e74ff 3501015d020007af03b10101520401020a0bff; do
        name=$((name + 1)); bytes "$head$options" >"$2/request-$name"
      done ;;
    tftp)
      { bytes 16; printf '\0\1snponly.efi\0octet\0bk'; bytes 04; bytes 00040000; bytes 04; bytes 00040001; } >"$2/plain"
      { bytes 29; printf '\0\1snponly.efi\0octet\0blksize\0001468\0tsize\0000\0'; bytes 04; bytes 00040000; } >"$2/options" ;;
    installer)
      printf '{"plan":"{}","signature":"00"}' >"$2/signed"
      printf '{"operation":"%s","mac":"52:54:00:00:00:01","report":"/r/x","mode":"inspect"}' "$(printf '0%.0s' {1..32})" >"$2/plan"
      printf '{"operation":"","state":"started"}' >"$2/report" ;;
    rows)
      for file in "$root"/protocol/tests/golden/{intent,host-report,machine-report,secret-row}.v1.hex; do
        for key in 69 72 73 6a; do
          { bytes "11$key"; printf 'x%.0s' {1..16}; hex "$file"; } >"$2/$(basename "$file" .hex)-$key"
        done
      done
      bytes 016600 >"$2/identity"; bytes 0170000000 >"$2/position"; bytes 0177000000 >"$2/whole" ;;
  esac
}

failed=0
mkdir -p "$findings"
printf '%-10s %12s %10s %8s %8s  %s\n' target executions exec/s edges corpus result
for target in "${targets[@]}"; do
  corpus=$corpora/$target; mkdir -p "$corpus"
  seed=$(mktemp -d); seeds "$target" "$seed"
  log=$findings/$target.log result=ok
  "$root/target/fuzz/$triple/release/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=8192 \
    -print_final_stats=1 -artifact_prefix="$findings/$target-" "$corpus" "$seed" >"$log" 2>&1 || { result="FOUND, see $log"; failed=1; }
  rm -rf "$seed"
  stat() { sed -n "s/^stat::$1: *//p" "$log" | tail -n 1; }
  printf '%-10s %12s %10s %8s %8s  %s\n' "$target" "$(stat number_of_executed_units)" "$(stat average_exec_per_sec)" \
    "$(grep -oE 'cov: [0-9]+' "$log" | tail -n 1 | cut -d' ' -f2)" "$(find "$corpus" -type f | wc -l)" "$result"
done
exit $failed

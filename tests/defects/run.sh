#!/usr/bin/env bash
# Shows that the suites bite: puts one defect after the other into a copy of the sources, builds it for tests only, and
# runs the tests that must find it (tests/defects/list).
#
#   tests/defects/run.sh [NAME]...   these defects, or all
#
# First the same tests must pass without a defect. The last line counts; it exits with 1 if a defect is not caught, or if
# a patch does not apply to the sources any more.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); cd "$here/../.."
copy=$PWD/target/defects/source build=$PWD/target/defects/build logs=$PWD/target/test-logs/defects
packages=(-p vitistack-agent -p vitistack-drivers -p vitistack-hub -p vitistack-installer)

mkdir -p "$copy" "$logs"
if [ ! -d "$build" ] && [ -d target/debug/deps ]; then
  # Dependencies that were built already; ours are built anew, since they lie elsewhere.
  mkdir -p "$build/debug"
  for folder in deps build .fingerprint; do
    cp -a --reflink=auto "target/debug/$folder" "$build/debug/"
    find "$build/debug/$folder" -maxdepth 1 -name '*vitistack*' -exec rm -rf {} +
  done
fi

# Only files that differ are touched: cargo builds by time.
sources() {
  local file
  git ls-files --cached --others --exclude-standard >"$logs/files"
  while read -r file; do
    [ -f "$file" ] || continue
    cmp -s "$file" "$copy/$file" || { mkdir -p "$copy/$(dirname "$file")"; cp "$file" "$copy/$file"; }
  done <"$logs/files"
  (cd "$copy" && find . -type f -printf '%P\n') | sort >"$logs/held"
  sort "$logs/files" | comm -13 - "$logs/held" | while read -r file; do rm -f "$copy/$file"; done
}
# suite FILTER LOG: 0 passed, 100 a test failed, anything else no answer.
suite() {
  (cd "$copy" && cargo nextest run --locked --no-fail-fast --target-dir "$build" "${packages[@]}" --lib --test kill -E "$1") \
    >"$2" 2>&1
}
say() { printf '%-26s %s\n' "$1" "$2"; }

names=() filters=()
while read -r name filter; do
  case $name in '' | '#'*) continue ;; esac
  [ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
  names+=("$name") filters+=("$filter")
done <"$here/list"
[ ${#names[@]} -gt 0 ] || { echo "defects: none of $* stands in tests/defects/list" >&2; exit 2; }

sources
every=$(printf '(%s) | ' "${filters[@]}"); every=${every% | }
if suite "$every" "$logs/control.log"; then
  say "no defect" "passes: $(grep -oE '[0-9]+ passed' "$logs/control.log" | tail -1)"
else
  tail -30 "$logs/control.log"; say "no defect" "FAILS: see $logs/control.log"; exit 1
fi

caught=0
for index in "${!names[@]}"; do
  name=${names[$index]}
  if ! (cd "$copy" && patch -p1 -s -F0 --no-backup-if-mismatch <"$here/$name.patch" >"$logs/$name.log" 2>&1); then
    say "$name" "NOT APPLIED: make the patch anew"; sources; continue
  fi
  status=0; suite "${filters[$index]}" "$logs/$name.log" || status=$?
  (cd "$copy" && patch -p1 -s -R -F0 --no-backup-if-mismatch <"$here/$name.patch")
  case $status in
    100) caught=$((caught + 1)); say "$name" "caught by $(grep -oE 'FAIL \[[^]]*\] .*' "$logs/$name.log" | awk '{print $NF}' | sort -u | paste -sd ' ' | cut -c1-150)" ;;
    0) say "$name" "NOT CAUGHT by ${filters[$index]}" ;;
    *) tail -15 "$logs/$name.log"; say "$name" "NO ANSWER: it does not build; make the patch anew" ;;
  esac
done
echo "defects: $caught of ${#names[@]} caught"
[ "$caught" = ${#names[@]} ]

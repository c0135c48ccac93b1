#!/usr/bin/env bash
# Runs the findings that are named, or all, one after the other, and prints a table.
# Exit code 0 if all hold, else 1.
set -euo pipefail
cd "$(dirname "$0")"

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  for file in *.sh; do
    case $file in lib.sh | run.sh) ;; *) names+=("${file%.sh}") ;; esac
  done
fi

table="" failed=0
for name in "${names[@]}"; do
  name=$(basename "$name" .sh)
  [ -x "$name.sh" ] || { echo "There is no finding of the name $name; findings/README.md lists them." >&2; exit 2; }
  echo "== $name"
  began=$SECONDS status=0
  "./$name.sh" || status=$?
  case $status in
    0) word="holds" ;;
    1) word="changed" failed=1 ;;
    *) word="not tried" failed=1 ;;
  esac
  table+=$(printf '%-44s %-10s %5d s' "$name" "$word" $((SECONDS - began)))$'\n'
done
printf '\n%s' "$table"
exit $failed

# Sourced by every finding: a temporary folder, an environment with its packages, the verdict.
# Exit codes: 0 the surprise is there, 1 the behaviour has changed, 2 it could not be tried.
# FINDINGS_NEWEST=1 takes the newest versions instead of the pinned ones; FINDINGS_PYTHON, an environment's interpreter,
# looks there and installs nothing. PYTHON: the interpreter that environments are made with, 3.11 to 3.13.

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
NAME=$(basename "$0" .sh)
WORK=$(mktemp -d)
# Ray's sockets need a short path, which TMPDIR may not be.
RAY_TMPDIR=$(mktemp -d /tmp/finding.XXXXXX)
export RAY_TMPDIR
trap 'rm -rf "$WORK" "$RAY_TMPDIR"' EXIT
LOOK=${FINDINGS_PYTHON:-$WORK/venv/bin/python}
mkdir "$WORK/home" "$WORK/here"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} RAY_USAGE_STATS_ENABLED=0 HF_HUB_OFFLINE=1

# packages NAME==VERSION...: what the finding needs, in an environment of its own. What comes along with these is
# taken from constraints.txt, so that a finding meets the same software next year.
packages() {
  local wanted=("$@") constraints=(--constraint "$HERE/constraints.txt") python=${PYTHON:-python3} compile=()
  # uv compiles no bytecode, and Ray gives each of its processes only some seconds to start.
  case "$*" in *ray*) compile=(--compile-bytecode) ;; esac
  if [ -n "${FINDINGS_NEWEST:-}" ]; then
    wanted=("${@%%==*}") constraints=()
  fi
  {
    if [ -n "${FINDINGS_PYTHON:-}" ]; then
      true
    elif command -v uv >/dev/null; then
      uv venv --quiet --python "$python" "$WORK/venv" &&
        uv pip install --quiet --link-mode hardlink --python "$WORK/venv/bin/python" \
          ${compile[@]+"${compile[@]}"} ${constraints[@]+"${constraints[@]}"} "${wanted[@]}"
    else
      "$python" -m venv "$WORK/venv" &&
        "$WORK/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
          ${constraints[@]+"${constraints[@]}"} "${wanted[@]}"
    fi
  } || { echo "not tried:  the packages could not be installed"; exit 2; }
  "$LOOK" - "${@%%==*}" <<'PY'
import sys
from importlib.metadata import version
names = [name.partition("[")[0] for name in sys.argv[1:]]
print("versions:   " + ", ".join(f"{name} {version(name)}" for name in names))
PY
}

# look: runs the Python program on standard input in a folder and a home of its own. It ends by calling `verdict`.
look() {
  local status=0
  cat >"$WORK/$NAME.py"
  (
    cd "$WORK/here"
    unset PYTHONDONTWRITEBYTECODE RAY_ADDRESS
    HOME="$WORK/home" PYTHONPATH="$HERE" "$LOOK" "$WORK/$NAME.py" 2>"$WORK/stderr"
  ) || status=$?
  case $status in
    0) exit 0 ;;
    3) exit 1 ;;
    *)
      tail -n 15 "$WORK/stderr" >&2
      echo "not tried:  it ended with an error before its verdict"
      exit 2
      ;;
  esac
}

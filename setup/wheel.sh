#!/bin/sh
# Builds the sdist and, from it, the wheel of a commit, and has twine check both:
#   wheel.sh PYTHON [FOLDER [COMMIT]]   leaves them in FOLDER (dist)
# PYTHON is one that has build, twine and setuptools. The wheel is the same for every machine: its
# checksum in C is left out, which an installation from the sdist compiles where there is a compiler.
set -eu
cd "$(dirname "$0")/.."
fail() { printf '%s\n' "eucabox: $*" >&2; exit 1; }
python=$(realpath -s "$1")
mkdir -p "${2:-dist}"
out=$(cd "${2:-dist}" && pwd) commit=${3:-HEAD}
[ "$commit" != HEAD ] || git diff --quiet HEAD -- || printf '%s\n' "eucabox: what is not committed is not in the wheel" >&2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
log=$out/eucabox-wheel.log
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct "$commit")
export SOURCE_DATE_EPOCH
umask 022
mkdir "$work/tree" "$work/sdist" "$work/made"
git -c tar.umask=022 archive "$commit" | tar -x -C "$work/tree"

build() { (cd "$1" && shift && "$python" -m build --no-isolation --outdir "$work/made" "$@" .) >>"$log" 2>&1 || fail "the build failed, $(tail -n 1 "$log"); the rest is in $log"; }
: >"$log"
build "$work/tree" --sdist
tar -xf "$work"/made/eucabox-*.tar.gz -C "$work/sdist" --strip-components 1
EUCABOX_PURE_WHEEL=yes build "$work/sdist" --wheel
"$python" -m twine --no-color check --strict "$work"/made/* >>"$log" 2>&1 || fail "twine does not take them: $(grep -v '^$' "$log" | tail -n 1)"
rm -f "$out"/eucabox-*.whl "$out"/eucabox-*.tar.gz
mv "$work"/made/* "$out/"
ls "$out"/eucabox-*.whl "$out"/eucabox-*.tar.gz

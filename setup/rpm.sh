#!/bin/sh
# Builds the RPMs of a commit from a clean export, and has rpmlint look at them and at the spec:
#   rpm.sh PYTHON [FOLDER [COMMIT]]   leaves them in FOLDER (dist)
# On Fedora the macros are Fedora's; elsewhere packaging/rpm/fallback.macros stands in for them, and
# PYTHON builds: it has what eucabox runs with, and build, click-man and installer. DIST in the
# environment is what %{dist} is, behind the release: .later makes an RPM that upgrades another.
set -eu
cd "$(dirname "$0")/.."
python=$(realpath -s "$1")
mkdir -p "${2:-dist}"
out=$(cd "${2:-dist}" && pwd) commit=${3:-HEAD}

say() { printf '%s\n' "eucabox: $*" >&2; }
fail() { say "$*"; exit 1; }

[ "$commit" != HEAD ] || git diff --quiet HEAD -- || say "what is not committed is not in the package"
work=$(mktemp -d /var/tmp/eucabox-rpm.XXXXXX)
trap 'rm -rf "$work"' EXIT INT TERM
mkdir "$work/SOURCES" "$work/tree"
git -c tar.umask=022 archive "$commit" packaging/rpm | tar -x -C "$work/tree"
rules=$work/tree/packaging/rpm
version=$(sed -n 's/^Version: *//p' "$rules/eucabox.spec")
git -c tar.umask=022 archive --prefix="eucabox-$version/" "$commit" | gzip -n >"$work/SOURCES/eucabox-$version.tar.gz"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct "$commit")
export SOURCE_DATE_EPOCH

set -- --define "_topdir $work" ${DIST:+--define "dist $DIST"} -ba "$rules/eucabox.spec"
if [ -z "$(rpm --eval '%{?pyproject_wheel}')" ]; then
    # Root builds here, with what PYTHON and apt have: rpm does not know of that, hence --nodeps.
    set -- --nodeps --load "$rules/fallback.macros" --define "python3 $python" "$@"
fi
log=$out/eucabox-rpm.log
rpmbuild "$@" >"$log" 2>&1 || fail "the build failed, $(grep -iE 'error|No such' "$log" | head -n 1); the rest is in $log"
lint=$out/eucabox-rpm.rpmlint
rpmlint --config "$rules/rpmlint.toml" "$rules/eucabox.spec" "$work"/RPMS/*/*.rpm "$work"/SRPMS/*.rpm >"$lint" 2>&1 ||
    { cat "$lint" >&2; fail "rpmlint has something to say of the packages"; }
rm -f "$out"/eucabox-*.rpm
mv "$work"/RPMS/*/*.rpm "$work"/SRPMS/*.rpm "$out/"
ls "$out"/eucabox-*.rpm

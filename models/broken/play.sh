#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Drops one of the failures of list.tsv into a served model's folder, the way that it would happen.
#
#   play.sh NAME BASE VERSION [SECONDS]    e.g. play.sh nan_outputs /srv/models/digits 3
#
# Prints the path that appeared. Returns when everything is there (slow_copy: after SECONDS, 5 unless told).
set -eu

die() {
    echo "play.sh: $*" >&2
    exit 2
}

[ $# -ge 3 ] || die "usage: play.sh NAME BASE VERSION [SECONDS]"
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
name=$1 base=$2 version=$3 seconds=${4:-5}
good=$here/not_a_number/v2-final
to=$base/$version

cut -f 1 "$here/list.tsv" | grep -qxF -- "$name" || die "no failure called '$name' in $here/list.tsv"
[ -d "$base" ] || die "no folder $base"
[ "$name" = not_a_number ] && to=$base/v2-final
[ ! -e "$to" ] || die "$to is there already"

case $name in
empty)
    mkdir "$to"
    ;;
not_a_number)
    cp -R "$good" "$to"
    ;;
link_out)
    # A whole, good version, but for its weights: a link to a file that is not below the model's folder.
    mkdir "$to" "$to/variables"
    cp -R "$good/assets" "$good/fingerprint.pb" "$good/saved_model.pb" "$to"
    cp "$good/variables/variables.index" "$to/variables"
    ln -s "$good/variables/variables.data-00000-of-00001" "$to/variables/variables.data-00000-of-00001"
    ;;
slow_copy)
    "$here/slow_copy.sh" "$good" "$to" "$seconds"
    ;;
*)
    cp -R "$here/$name" "$to"
    ;;
esac
echo "$to"

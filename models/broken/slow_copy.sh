#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copies a version's folder as a slow link would: file by file, the large ones in halves, over SECONDS (5 unless told).
#
#   slow_copy.sh SRC DST [SECONDS]
#
# saved_model.pb comes first and whole, the weights come last: at every moment but the last one DST looks like a
# version, and is not.
set -eu

if [ $# -lt 2 ] || [ ! -f "$1/saved_model.pb" ] || [ -e "$2" ]; then
    echo "slow_copy.sh: usage: slow_copy.sh SRC DST [SECONDS]; SRC is a SavedModel, DST does not exist yet" >&2
    exit 2
fi
src=$1 dst=$2 seconds=${3:-5}

rest=$(cd "$src" && find . -type f ! -name saved_model.pb ! -name 'variables.data-*' | sort)
weights=$(cd "$src" && find . -type f -name 'variables.data-*' | sort)
count=$(printf '%s\n' "$rest" "$weights" | grep -c .)
pause=$(awk -v s="$seconds" -v n="$count" 'BEGIN { printf "%.3f", s / (n + 1) }')

mkdir -p "$dst"
cp "$src/saved_model.pb" "$dst/saved_model.pb"
for file in $rest; do
    sleep "$pause"
    mkdir -p "$dst/$(dirname "$file")"
    cp "$src/$file" "$dst/$file"
done
for file in $weights; do
    sleep "$pause"
    mkdir -p "$dst/$(dirname "$file")"
    half=$(($(wc -c < "$src/$file") / 2))
    head -c "$half" "$src/$file" > "$dst/$file"
    sleep "$pause"
    tail -c "+$((half + 1))" "$src/$file" >> "$dst/$file"
done

#!/usr/bin/env bash
# Writes the lock files: exact versions for all supported Pythons and platforms, each with the sha256 of all its files.
# Call it through `make lock`. dev.txt decides; the smaller ones are parts of it, so all have the same versions.
set -euo pipefail

uv=$(realpath "$1")
cd "$(dirname "$0")/.."

lock() {
    local name=$1 purpose=$2
    shift 2
    local file="requirements/$name.txt"
    "$uv" pip compile pyproject.toml requirements/build.in "$@" \
        --no-config --universal --python-version 3.11 --generate-hashes --upgrade \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet \
        --output-file "$file" >/dev/null
    printf '# %s Written by `make lock`; do not edit.\n%s\n' "$purpose" "$(<"$file")" >"$file.new"
    mv "$file.new" "$file"
    echo "$file: $(grep -c '==' "$file") packages"
}

# Only here is `train`: on Linux torch brings several GB for accelerators, which serving and `make demo` never need.
lock dev "Tests, checks, benchmarks, training and everything below." \
    --extra stack --extra bench --extra train --extra dev
lock run "What \`make demo\` needs: workers and embedded servers." --extra stack --constraint requirements/dev.txt
lock worker "What a worker needs; the container image." --constraint requirements/dev.txt

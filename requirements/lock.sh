#!/usr/bin/env bash
# Writes the lock files: exact versions for all supported Pythons and platforms, each with the sha256 of all its files.
# Call it through `make lock`. All extras together decide; each file is a part of that, so all have the same versions.
set -euo pipefail

uv=$(realpath "$1")
cd "$(dirname "$0")/.."

everything=build/lock/everything.txt

compile() {
    local file=$1
    shift
    "$uv" pip compile pyproject.toml requirements/build.in "$@" \
        --no-config --universal --python-version 3.11 --generate-hashes --upgrade \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet \
        --output-file "$file" >/dev/null
}

lock() {
    local name=$1 purpose=$2
    shift 2
    local file="requirements/$name.txt"
    compile "$file" "$@" --constraint "$everything"
    printf '# %s Written by `make lock`; do not edit.\n%s\n' "$purpose" "$(<"$file")" >"$file.new"
    mv "$file.new" "$file"
    echo "$file: $(grep -c '==' "$file") packages"
}

mkdir -p "$(dirname "$everything")"
compile "$everything" --all-extras
# Only here is `train`: on Linux torch brings 5 GB for accelerators, which serving and a first `make test` never need.
lock train "What training needs: torch beside what a worker needs." --extra train
lock dev "Tests, checks, benchmarks and everything below; \`make test-train\` adds train.txt." \
    --extra stack --extra bench --extra dev
lock run "What \`make demo\` needs: workers and embedded servers." --extra stack
lock node "Node for \`make setup\`, where the machine has none." --extra node
lock worker "What a worker needs; the container image."

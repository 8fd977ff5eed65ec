#!/bin/bash
# Runs the program in rust/ with its clients from crates.io, built in build/rust. Usage: rust.sh HOST:PORT
set -eu
folder=$(cd "$(dirname "$0")/../.." && pwd)
export CARGO_HOME=$folder/build/cargo CARGO_TARGET_DIR=$folder/build/rust/target
mkdir -p "$folder/build/rust"
cp -r "$folder/test/clients/rust/." "$folder/build/rust/"
cd "$folder/build/rust"
cargo build --quiet
exec "$CARGO_TARGET_DIR/debug/rust_clients" "$@"

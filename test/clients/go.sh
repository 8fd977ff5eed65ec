#!/bin/bash
# Runs the program go/CLIENT with its client from the Go module proxy. Usage: go.sh HOST:PORT CLIENT
set -eu
folder=$(cd "$(dirname "$0")/../.." && pwd)
export GOFLAGS=-mod=mod GOCACHE=$folder/build/go-cache GOPATH=$folder/build/go
mkdir -p "$folder/build/go-clients"
cp -r "$folder/test/clients/go/." "$folder/build/go-clients/"
cd "$folder/build/go-clients"
go build -o "$2.out" "./$2"
exec "./$2.out" "$1"

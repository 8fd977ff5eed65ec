#!/bin/bash
# Runs go/main.go with franz-go from the Go module proxy. Usage: franz_go.sh HOST:PORT
set -eu
folder=$(cd "$(dirname "$0")/../.." && pwd)
export GOFLAGS=-mod=mod GOCACHE=$folder/build/go-cache GOPATH=$folder/build/go
mkdir -p "$folder/build/franz-go"
cp "$folder/test/clients/go/"* "$folder/build/franz-go/"
cd "$folder/build/franz-go"
go build -o franz-go . 
exec ./franz-go "$@"

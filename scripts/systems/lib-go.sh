# shellcheck shell=bash
# Programs built from Go modules, for recipes to source: `source "$here/lib-go.sh"`.
#
# The idea: src/NAME/go.mod and go.sum name every module and its sum, so a build takes exactly those
# or none (-mod=readonly), with the Go that is on PATH and no other (GOTOOLCHAIN=local). Modules and
# compiled packages are kept in the cache's .go/, for the next version; `rm -r` of it is harmless.
# It refuses to build in a module's own directory: many modules replace others by local paths, and
# such lines count only in the main module. Ours is the main module, and only requires them.

# go_build PREFIX SOURCE LINKER_FLAGS NAME=PACKAGE...: PREFIX/bin/NAME from PACKAGE, as the module in
# SOURCE (a directory of src/) requires it. No cgo: the program must run wherever the prefix stands.
go_build() {
    local prefix=$1 source=$here/src/$2 flags=$3 pair
    shift 3
    mkdir -p "$prefix/bin" "$cache/.go"
    for pair in "$@"; do
        echo "building ${pair%%=*}"
        (
            cd "$source"
            GOPATH=$cache/.go/path GOCACHE=$cache/.go/build GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0 \
                GOFLAGS='-mod=readonly -trimpath -buildvcs=false -modcacherw' \
                go build -p 2 -ldflags "-s -w $flags" -o "$prefix/bin/${pair%%=*}" "${pair#*=}"
        )
    done
    sed -nE 's/^(require)?[[:space:]]+([^ ]+\.[^ ]+) (v[^ ]+)$/\2 \3/p' "$source/go.mod" | while read -r pair; do
        came_from "$prefix" "go module $pair"
    done
}

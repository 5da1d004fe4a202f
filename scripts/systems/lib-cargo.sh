# shellcheck shell=bash disable=SC2154
# Programs of ours around Rust libraries, for recipes to source: `source "$here/lib-cargo.sh"`.
#
# The idea: src/NAME is a Cargo project of its own, outside the workspace, so that the default build does not compile
# these libraries. Its Cargo.lock names every crate and its sum; a build takes exactly those (--locked).
# What is compiled is kept in the cache's .cargo/, for the next version; `rm -r` of it is harmless.

# cargo_build PREFIX SOURCE NAME CRATE: PREFIX/bin/NAME from the project src/SOURCE; CRATE is the library it is about.
cargo_build() {
    local prefix=$1 source=$here/src/$2 name=$3 version
    mkdir -p "$prefix/bin" "$cache/.cargo"
    echo "building $name"
    (
        cd "$source"
        CARGO_TARGET_DIR=$cache/.cargo/target cargo build --release --locked --bin "$name"
    )
    cp "$cache/.cargo/target/release/$name" "$prefix/bin/$name"
    version=$(sed -n "/^name = \"$4\"\$/{n;s/^version = \"\(.*\)\"\$/\1/p;}" "$source/Cargo.lock")
    came_from "$prefix" "crate $4 $version"
}

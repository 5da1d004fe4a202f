# shellcheck shell=bash disable=SC2016,SC2154
# What recipes are made of: packages of the host's Debian archive and of the Python index, taken as
# plain files into a prefix, and wrappers that run a program from wherever its prefix stands.
#
# It refuses to touch the host: apt gets its own lists and cache (below the systems cache), dpkg
# only ever unpacks, and the host's package database is read, never written.
# Sourced by scripts/systems/install; `cache` is set there.

# ---- Tools

python_with_pip() { # the system's interpreter first: every user may run it, and it moves least
    local p
    for p in /usr/bin/python3 python3 python; do
        if "$p" -m pip --version >/dev/null 2>&1; then
            command -v "$p"
            return 0
        fi
    done
    return 1
}

have_tool() {
    case $1 in
        pip) python_with_pip >/dev/null ;;
        apt-get) command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

remedy_for() { # remedy_for TOOL: one line
    case $1 in
        apt-get) echo 'this recipe takes packages of Debian 12; on another system install the program yourself and pass --bin' ;;
        pip) echo 'apt-get install python3-pip (or any python3 whose `python3 -m pip` works)' ;;
        go) echo 'apt-get install golang, or the archive of the Go project; then put its bin/ on PATH' ;;
        mvn) echo 'apt-get install maven' ;;
        java) echo 'apt-get install openjdk-17-jre-headless' ;;
        javac) echo 'apt-get install openjdk-17-jdk-headless' ;;
        gcc | cc) echo 'apt-get install gcc' ;;
        cargo) echo 'install Rust by rustup' ;;
        *) echo "install $1 and put it on PATH" ;;
    esac
}

# came_from PREFIX TEXT: one line "source:" of chaos-install.txt, e.g. "go module example.org/m v1.2.3".
came_from() { printf '%s\n' "$2" >>"$1/.sources"; }

# ---- Debian packages, without root and without the host noticing

# apt_conf: writes our apt configuration and prints its path. `#clear` undoes hooks of the host that
# would empty the host's own cache (containers have them); the sandbox user could not read our cache.
apt_conf() {
    local dir=$cache/.apt
    mkdir -p "$dir/lists/partial" "$dir/archives/partial"
    cat >"$dir/apt.conf.$$" <<EOF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
Dir::State "$dir";
Dir::State::lists "$dir/lists";
Dir::State::status "/var/lib/dpkg/status";
Dir::State::extended_states "$dir/extended_states";
Dir::Cache "$dir";
Dir::Cache::archives "$dir/archives";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "3";
EOF
    mv "$dir/apt.conf.$$" "$dir/apt.conf"
    printf '%s\n' "$dir/apt.conf"
}

# apt_lists CONF [now]: fetches the package lists if they are a day old, or in any case with `now`.
# A third-party source that does not answer is no reason to stop: what counts is whether the wanted
# version is found afterwards, and that is asked next.
apt_lists() {
    local stamp=$cache/.apt/fetched
    if [ "${2:-}" != now ] && [ -n "$(find "$stamp" -mmin -1440 2>/dev/null)" ]; then return 0; fi
    if apt-get -c "$1" -qq update; then
        touch "$stamp"
    else
        echo 'warning: not all package lists could be fetched; going on with what is there'
    fi
}

# apt_closure CONF SPEC...: lines NAME=VERSION of the given packages and of all their dependencies
# that the host lacks. The given ones are always among them, installed on the host or not.
apt_closure() {
    local conf=$1 plan
    shift
    plan=$(apt-get -c "$conf" -s --no-install-recommends --reinstall --allow-downgrades \
        --allow-change-held-packages install "$@") || return 1
    printf '%s\n' "$plan" | sed -nE 's/^Inst ([^ ]+) (\[[^]]*\] )?\(([^ ]+) .*/\1=\3/p'
}

# debian PREFIX SPEC... [-- NAME...]: unpacks the packages and what they need into PREFIX/root.
# SPEC is NAME=VERSION and VERSION may end in *, since an archive keeps only the last security
# revision; which one it was stands in chaos-install.txt. Names behind -- are dependencies that the
# programs we want do not use (an init system, documentation): they are left out; `*` leaves out all.
debian() {
    local prefix=$1 conf closure spec pkg
    local -a specs=() skip=() take=()
    shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        specs+=("$1")
        shift
    done
    [ $# -eq 0 ] || { shift && skip=("$@"); }
    mkdir -p "$cache/.apt" "$prefix/root" "$prefix/.debs"
    # Two recipes at once share the lists; apt's own locks would make the second fail, not wait.
    exec 8>"$cache/.apt/chaos.lock"
    flock 8
    conf=$(apt_conf)
    apt_lists "$conf"
    closure=$(apt_closure "$conf" "${specs[@]}") || {
        apt_lists "$conf" now
        closure=$(apt_closure "$conf" "${specs[@]}") || {
            echo "the archive of this host ($(. /etc/os-release && echo "$PRETTY_NAME")) does not offer: ${specs[*]}"
            return 1
        }
    }
    for spec in $closure; do
        pkg=${spec%%=*}
        pkg=${pkg%%:*}
        case " ${skip[*]} " in *" $pkg "*) continue ;; esac
        if [ "${skip[*]}" = '*' ]; then
            case " ${specs[*]}" in *" $pkg" | *" $pkg "* | *" $pkg="*) ;; *) continue ;; esac
        fi
        take+=("$spec")
    done
    [ "${#take[@]}" -gt 0 ] || { echo "nothing to fetch for: ${specs[*]}" && return 1; }
    (cd "$prefix/.debs" && apt-get -c "$conf" -q download "${take[@]}")
    exec 8>&-
    for pkg in "$prefix"/.debs/*.deb; do dpkg-deb -x "$pkg" "$prefix/root"; done
    rm -r "$prefix/.debs"
    for spec in "${take[@]}"; do came_from "$prefix" "debian package ${spec/=/ }"; done
}

# debian_jars PREFIX SPEC... -- JAR...: exactly these jars (without .jar) of exactly these packages in
# PREFIX/lib. A Java library's dependencies are a servlet engine and a test framework; we want none.
debian_jars() {
    local prefix=$1 jar
    local -a specs=()
    shift
    while [ "$1" != -- ]; do
        specs+=("$1")
        shift
    done
    shift
    debian "$prefix" "${specs[@]}" -- '*'
    mkdir -p "$prefix/lib"
    for jar in "$@"; do cp -L "$prefix/root/usr/share/java/$jar.jar" "$prefix/lib/"; done
    rm -rf "$prefix/root"
}

# debian_postgresql PREFIX MAJOR [SPEC...]: PostgreSQL (and more packages) with its programs in bin/.
# It finds its share/ from where the real program stands, so the packages' layout is kept. Debian's
# cluster scripts are left out: they serve one cluster of the host.
debian_postgresql() {
    local prefix=$1 major=$2 bin=root/usr/lib/postgresql/$2/bin program
    shift 2
    debian "$prefix" "postgresql-$major=$major.*" "postgresql-client-$major=$major.*" "$@" -- \
        postgresql-common postgresql-client-common ssl-cert libpq-dev adduser locales libjson-perl perl \
        perl-base perl-modules-5.36 libperl5.36
    for program in "$prefix/$bin"/*; do wrapper "$prefix" "${program##*/}" "$bin/${program##*/}"; done
}

# ---- Python packages

# pypi_unpacked PREFIX SUBDIR NAME==VERSION: the files of one wheel in PREFIX/SUBDIR, nothing run.
pypi_unpacked() {
    local python wheels=$1/.wheels
    python=$(python_with_pip)
    "$python" -m pip download -q --no-deps --only-binary :all: --dest "$wheels" "$3"
    mkdir -p "$1/$2"
    "$python" -m zipfile -e "$wheels"/*.whl "$1/$2"
    rm -r "$wheels"
    came_from "$1" "python package ${3/==/ }"
}

# pypi_tree PREFIX SUBDIR NAME==VERSION...: the packages with their dependencies in PREFIX/SUBDIR.
# Prints the interpreter that they were chosen for: compiled modules fit no other minor version.
pypi_tree() {
    local prefix=$1 python=
    local dir=$1/$2
    shift 2
    python=$(python_with_pip)
    "$python" -m pip install -q --no-warn-script-location --root-user-action ignore --target "$dir" "$@" >&2
    "$python" -m pip list --path "$dir" --format freeze | while read -r line; do
        came_from "$prefix" "python package ${line/==/ }"
    done
    printf '%s\n' "$python"
}

# ---- Wrappers

# wrapper PREFIX NAME PROGRAM [LINE...]: PREFIX/bin/NAME, which execs PROGRAM (relative to PREFIX, or
# a command with arguments if it begins with `=`), so the process is the program itself. Lines are
# shell that sets its environment; $here is the prefix. Libraries that were unpacked with it are
# found. Where there is nothing to set, a symbolic link does, and starts two milliseconds sooner.
wrapper() {
    local prefix=$1 name=$2 program=$3 dirs='' d
    shift 3
    mkdir -p "$prefix/bin"
    case $program in
        =*) ;;
        *)
            [ -x "$prefix/$program" ] || { echo "no program $program in the package" && return 1; }
            printf '%s\n' "$program" >>"$prefix/.programs"
            ;;
    esac
    for d in "$prefix"/root/{usr/lib,lib}/*-linux-gnu; do
        if [ -d "$d" ]; then dirs="${dirs:+$dirs:}\$here${d#"$prefix"}"; fi
    done
    if [ -z "$dirs" ] && [ $# -eq 0 ] && [ "${program#=}" = "$program" ]; then
        ln -s "../$program" "$prefix/bin/$name"
        return
    fi
    {
        printf '#!/bin/sh\n# Written by scripts/systems/install: runs %s from this prefix, wherever it stands.\n' "$name"
        printf 'self=$(readlink -f -- "$0")\nhere=${self%%/bin/*}\n'
        if [ -n "$dirs" ]; then
            printf 'export LD_LIBRARY_PATH="%s${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"\n' "$dirs"
        fi
        for d in "$@"; do printf '%s\n' "$d"; done
        case $program in
            =*) printf 'exec %s "$@"\n' "${program#=}" ;;
            *) printf 'exec "$here/%s" "$@"\n' "$program" ;;
        esac
    } >"$prefix/bin/$name"
    chmod 755 "$prefix/bin/$name"
}

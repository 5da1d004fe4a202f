# shellcheck shell=bash disable=SC2034,SC2154,SC2016
# Patroni from the Python index on PostgreSQL 15 of Debian 12, which comes in the same prefix:
# `postgresql.bin_dir` of patroni's configuration is this prefix's bin/. It takes the leader key by
# compare-and-put, and is the control of the 3.0.2 finding.
versions=(4.1.5)
licence='MIT (Patroni), PostgreSQL (PostgreSQL)'
needs=(apt-get pip)

fetch() {
    local python program
    debian_postgresql "$2" 15
    python=$(pypi_tree "$2" python "patroni[etcd3]==$1" 'psycopg[binary]')
    for program in patroni patronictl; do
        wrapper "$2" "$program" "=$python -s \"\$here/python/bin/$program\"" 'export PYTHONPATH="$here/python"'
    done
}

prove() {
    "$2/bin/patroni" --version
    "$2/bin/postgres" --version
    "$2/bin/initdb" --version
    "$2/bin/pg_basebackup" --version
    "$2/bin/pg_rewind" --version
}

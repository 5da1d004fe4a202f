# shellcheck shell=bash disable=SC2034
# OpenSearch from Maven Central, which has the server's jars but not the distribution: a launcher of ours
# (src/opensearch) starts the node. bin/opensearch-node takes a directory with an opensearch.yml.
# JVMFLAGS replaces the small heap set here.
versions=(2.19.3)
licence='Apache-2.0'
needs=(mvn java javac)

fetch() {
    # shellcheck source=scripts/systems/lib-maven.sh
    source "$here/lib-maven.sh"
    mvn_jars "$2" opensearch
    mkdir "$2/share"
    cp "$here/src/opensearch/log4j2.properties" "$2/share/"
    # Bytecode of the oldest Java that the jars run on: the java that runs it may be another one.
    javac --release 11 -Xlint:-options -cp "$2/lib/*" -d "$2/lib/launcher" "$here/src/opensearch/OpenSearchNode.java"
    came_from "$2" 'our own scripts/systems/src/opensearch/OpenSearchNode.java'
    local flags='${JVMFLAGS:--Xmx384m -Xms256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1}'
    wrapper "$2" opensearch-node \
        "=java $flags -Dlog4j2.configurationFile=\"\$here/share/log4j2.properties\" -cp \"\$here/lib/launcher:\$here/lib/*\" OpenSearchNode"
}

prove() { "$2/bin/opensearch-node" --version; }

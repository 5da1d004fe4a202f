# shellcheck shell=bash disable=SC2034,SC2154,SC2016
# Apache Curator's LeaderLatch of Debian 12, and a candidate around it (src/curator, ours, compiled
# here). It needs a ZooKeeper ensemble to talk to, which is another system.
versions=(5.4.0)
licence='Apache-2.0'
needs=(apt-get java javac)

fetch() {
    debian_jars "$2" "libcurator-recipes-java=$1-*" "libcurator-framework-java=$1-*" \
        "libcurator-client-java=$1-*" libzookeeper-java libslf4j-java libguava-java libnetty-java \
        libdropwizard-metrics-java -- \
        curator-recipes curator-framework curator-client zookeeper zookeeper-jute slf4j-api slf4j-simple \
        guava netty-handler netty-transport netty-buffer netty-common netty-codec \
        netty-resolver netty-transport-native-epoll netty-transport-native-unix-common metrics-core
    # Bytecode of the oldest Java that the jars run on: the java that runs it may be another one.
    javac --release 11 -Xlint:-options -cp "$2/lib/*" -d "$2/lib/candidate" "$here/src/curator/LatchCandidate.java"
    came_from "$2" 'our own scripts/systems/src/curator/LatchCandidate.java'
    local flags='${JVMFLAGS:--Xmx64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1}'
    wrapper "$2" curator-latch \
        "=java $flags -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp \"\$here/lib/candidate:\$here/lib/*\" LatchCandidate"
}

prove() { "$2/bin/curator-latch" --version; }

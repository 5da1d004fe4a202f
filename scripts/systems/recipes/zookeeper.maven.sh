# shellcheck shell=bash disable=SC2034
# Current ZooKeeper from Maven Central: a second version beside Debian's, with the same programs.
# metrics-core and snappy-java are what its pom calls `provided`; the server does not start without them.
versions=(3.9.4)
licence='Apache-2.0'
needs=(mvn java)

fetch() {
    # shellcheck source=scripts/systems/lib-maven.sh
    source "$here/lib-maven.sh"
    mvn_jars "$2" "zookeeper-${1%.*}"
    local flags='${JVMFLAGS:--Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1}'
    wrapper "$2" zookeeper-server \
        "=java $flags -cp \"\$here/lib/*\" org.apache.zookeeper.server.quorum.QuorumPeerMain"
    wrapper "$2" zookeeper-client "=java $flags -cp \"\$here/lib/*\" org.apache.zookeeper.ZooKeeperMain"
}

prove() { java -cp "$2/lib/*" org.apache.zookeeper.version.VersionInfoMain; }

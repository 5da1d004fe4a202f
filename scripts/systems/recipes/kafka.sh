# shellcheck shell=bash disable=SC2034
# Apache Kafka from Maven Central. 4.x elects its controller by Raft only (KRaft); 3.9 is the last that can
# also do it through ZooKeeper, and brings a ZooKeeper's jars: bin/zookeeper-server, for that mode.
# JVMFLAGS replaces the small heap set here. 4.x needs Java 17, 3.9 Java 8 or newer.
versions=(4.2.0 3.9.1)
licence='Apache-2.0'
needs=(mvn java)

fetch() {
    # shellcheck source=scripts/systems/lib-maven.sh
    source "$here/lib-maven.sh"
    local source=kafka-${1%.*} logging name class
    mvn_jars "$2" "$source"
    mkdir "$2/share"
    cp "$here/src/$source"/log4j*.properties "$2/share/"
    logging='-Dlog4j2.configurationFile=$here/share/log4j2.properties'
    [ "$1" = 4.2.0 ] || logging='-Dlog4j.configuration=file:$here/share/log4j.properties'
    # A tool lives for a second: it compiles little and keeps its log off its answer.
    local server='${JVMFLAGS:--Xmx256m -Xms128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1}'
    local tool='${JVMFLAGS:--Xmx96m -XX:+UseSerialGC -XX:TieredStopAtLevel=1} -Xshare:auto'
    wrapper "$2" kafka-server "=java $server \"$logging\" -cp \"\$here/lib/*\" kafka.Kafka"
    while read -r name class; do
        wrapper "$2" "$name" "=java $tool -cp \"\$here/lib/*\" $class"
    done <<'EOF'
kafka-storage kafka.tools.StorageTool
kafka-topics org.apache.kafka.tools.TopicCommand
kafka-metadata-quorum org.apache.kafka.tools.MetadataQuorumCommand
EOF
    [ "$1" = 4.2.0 ] || wrapper "$2" zookeeper-server \
        "=java ${server//256m -Xms128m/128m} \"$logging\" -cp \"\$here/lib/*\" org.apache.zookeeper.server.quorum.QuorumPeerMain"
}

prove() {
    "$2/bin/kafka-server" --version
    "$2/bin/kafka-topics" --version
    "$2/bin/kafka-storage" random-uuid
}

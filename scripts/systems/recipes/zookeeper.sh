# shellcheck shell=bash disable=SC2034,SC2154,SC2016
# ZooKeeper of Debian 12: the jars that the server needs, each named, run by the host's Java.
# bin/zookeeper-server takes the path of a zoo.cfg; JVMFLAGS replaces the small heap set here.
versions=(3.8.0)
licence='Apache-2.0'
needs=(apt-get java)

fetch() {
    debian_jars "$2" "libzookeeper-java=$1-*" libslf4j-java libnetty-java libdropwizard-metrics-java \
        libsnappy-java libcommons-cli-java libcommons-io-java libjetty9-java libservlet-api-java \
        libjackson2-core-java libjackson2-databind-java libjackson2-annotations-java -- \
        zookeeper zookeeper-jute slf4j-api slf4j-simple netty-handler netty-transport netty-buffer \
        netty-common netty-codec netty-resolver netty-transport-native-epoll \
        netty-transport-native-unix-common metrics-core snappy-java commons-cli commons-io \
        jetty9-server jetty9-servlet jetty9-util jetty9-util-ajax jetty9-http jetty9-io jetty9-security \
        servlet-api jackson-core jackson-databind jackson-annotations
    local flags='${JVMFLAGS:--Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1}'
    wrapper "$2" zookeeper-server \
        "=java $flags -cp \"\$here/lib/*\" org.apache.zookeeper.server.quorum.QuorumPeerMain"
    wrapper "$2" zookeeper-client "=java $flags -cp \"\$here/lib/*\" org.apache.zookeeper.ZooKeeperMain"
}

prove() { java -cp "$2/lib/*" org.apache.zookeeper.version.VersionInfoMain; }

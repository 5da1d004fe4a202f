# shellcheck shell=bash disable=SC2034
# Current Curator from Maven Central: a second version beside Debian's, with the same candidate (src/curator).
versions=(5.9.0)
licence='Apache-2.0'
needs=(mvn java javac)

fetch() {
    # shellcheck source=scripts/systems/lib-maven.sh
    source "$here/lib-maven.sh"
    mvn_jars "$2" "curator-${1%.*}"
    # Bytecode of the oldest Java that the jars run on: the java that runs it may be another one.
    javac --release 11 -Xlint:-options -cp "$2/lib/*" -d "$2/lib/candidate" "$here/src/curator/LatchCandidate.java"
    came_from "$2" 'our own scripts/systems/src/curator/LatchCandidate.java'
    local flags='${JVMFLAGS:--Xmx64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1}'
    wrapper "$2" curator-latch \
        "=java $flags -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp \"\$here/lib/candidate:\$here/lib/*\" LatchCandidate"
}

prove() { "$2/bin/curator-latch" --version; }

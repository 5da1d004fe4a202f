# shellcheck shell=bash
# Java programs as their jars on Maven Central, for recipes to source: `source "$here/lib-maven.sh"`.
#
# The idea: src/NAME/pom.xml names the few jars that we want, Maven finds what they need, and
# src/NAME/jars.sha256 says what must have come of it. A pom alone pins less than it seems: a range
# or a repository's answer can change what it resolves to.
# It refuses a jar more, a jar less and a jar with another sum.

# mvn_jars PREFIX SOURCE: PREFIX/lib/*.jar as SOURCE (a directory of src/) names them. Maven's own
# repository is kept in the cache's .m2/, for the next version; `rm -r` of it is harmless.
mvn_jars() {
    local prefix=$1 source=$here/src/$2 artifact
    mvn -B -q -Dstyle.color=never -f "$source/pom.xml" -Dmaven.repo.local="$cache/.m2" \
        org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$prefix/lib"
    (cd "$prefix/lib" && sha256sum -- *.jar) >"$prefix/.jars"
    if ! diff "$source/jars.sha256" "$prefix/.jars"; then
        echo "the jars are not those of $source/jars.sha256 (< expected, > found)"
        return 1
    fi
    rm "$prefix/.jars"
    (cd "$prefix" && ls lib/*.jar) >>"$prefix/.programs"
    sed -nE 's/.*<groupId>([^<]+)<.*<artifactId>([^<]+)<.*<version>([^<]+)<.*/\1:\2 \3/p' "$source/pom.xml" |
        while read -r artifact; do came_from "$prefix" "maven artifact $artifact"; done
}

#!/bin/bash
# Writes jars.lock: the SHA-256 of each jar, its path in the image, and its path in Maven's repository.
# Usage: bash lock.sh VERSION. Needs Maven.
set -euo pipefail
cd "$(dirname "$0")"
version=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

resolve() { # FOLDER GROUP:ARTIFACT:VERSION...
    local folder=$1 dependencies="" group artifact release
    shift
    while IFS=: read -r group artifact release; do
        dependencies+="<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId>"
        dependencies+="<version>$release</version></dependency>"
    done < <(printf '%s\n' "$@")
    printf '%s' "<project><modelVersion>4.0.0</modelVersion><groupId>strata</groupId><artifactId>opensearch</artifactId>" \
        "<version>1</version><dependencies>$dependencies</dependencies></project>" > "$work/pom.xml"
    mvn --quiet --batch-mode --file "$work/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
        -Dmdep.useRepositoryLayout=true -DoutputDirectory="$work/$folder"
}

resolve lib "org.opensearch:opensearch:$version" "org.opensearch:opensearch-plugin-classloader:$version" \
    "org.opensearch:opensearch-agent-bootstrap:$version" "org.opensearch:opensearch-agent-policy:$version" \
    org.apache.logging.log4j:log4j-core:2.25.3
resolve modules/transport-netty4 "org.opensearch.plugin:transport-netty4-client:$version"
resolve modules/lang-painless "org.opensearch.plugin:lang-painless:$version"
resolve modules/analysis-common "org.opensearch.plugin:analysis-common:$version"
resolve modules/reindex "org.opensearch.plugin:reindex-client:$version"
resolve modules/mapper-extras "org.opensearch.plugin:mapper-extras-client:$version"

cd "$work"
# A module sees the jars of lib/, and lacks its own copy of them. HTTP/3 (QUIC) isn't used.
find lib modules -name '*.jar' ! -name '*-quic-*-*_*.jar' | LC_ALL=C sort | while read -r jar; do
    name=${jar##*/}
    folder=$(sed -E 's#^(lib|modules/[^/]+)/.*#\1#' <<< "$jar")
    path=${jar#"$folder/"}
    if [ "$folder" != lib ] && [ -e "lib/$path" ]; then continue; fi
    echo "$(sha256sum < "$jar" | cut -d' ' -f1) $folder/$name $path"
done > jars.lock
cp jars.lock "$OLDPWD/jars.lock"

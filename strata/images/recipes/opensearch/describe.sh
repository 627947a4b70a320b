#!/bin/bash
# Writes the descriptor of each module in modules/. Upstream's build does it for the distribution; the jars lack it.
set -euo pipefail
version=$(basename lib/opensearch-[0-9]*.jar .jar)
version=${version#opensearch-}
cd modules

describe() { # MODULE CLASS [EXTENDED]
    cat > "$1/plugin-descriptor.properties" <<EOF
name=$1
description=$1
version=$version
opensearch.version=$version
java.version=21
classname=$2
${3:+extended.plugins=$3}
EOF
}

describe analysis-common org.opensearch.analysis.common.CommonAnalysisModulePlugin lang-painless
describe lang-painless org.opensearch.painless.PainlessModulePlugin
describe mapper-extras org.opensearch.index.mapper.MapperExtrasModulePlugin
describe reindex org.opensearch.index.reindex.ReindexModulePlugin
describe transport-netty4 org.opensearch.transport.Netty4ModulePlugin

#!/bin/bash
# The Java client with the settings in files, as java/Secured.java says. Usage: kafka_java_security.sh HOST:PORT FILE.. Needs a JDK and mvn.
set -euo pipefail
. "$(dirname "$0")/kafka_jars.sh"
java_run "$folder/test/clients/java/Secured.java" "$@"

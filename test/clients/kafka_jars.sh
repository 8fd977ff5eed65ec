# Sourced by the scripts for Java: fetches Kafka's jars from Maven Central (java/pom.xml) into build/kafka-java, and says how to run a class of them.
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
jars=$folder/build/kafka-java
if [ ! "$jars/ready" -nt "$folder/test/clients/java/pom.xml" ]; then
  rm -rf "$jars"
  mvn -q -B -Dstyle.color=never -f "$folder/test/clients/java/pom.xml" package -DoutputDirectory="$jars"
  touch "$jars/ready"
fi
java=(java -Xmx256m -XX:TieredStopAtLevel=1 -cp "$jars/*")
java_run() { "${java[@]}" "$@"; }
ok() { echo "ok  java: $1"; }

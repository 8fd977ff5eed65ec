// Kafka Streams' word count with exactly_once_v2 and a store whose changelog is a compacted topic: killed in the middle, restored from that
// alone (the store is in memory), and still every count of every word comes out once, in order.
// Usage: java -cp JARS WordCountStore.java HOST:PORT NAME die|finish
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

public class WordCountStore {
  static final List<String> WORDS = List.of("all", "streams", "lead", "to", "kafka", "hello", "join", "summit");
  static final int LINES = 1500;  // of each run

  public static void main(String[] args) throws Exception {
    String broker = args[0], name = args[1], input = name + "-lines", output = name + "-counts", changelog = name + "-counts-changelog";
    boolean dies = args[2].equals("die");
    Admin admin = Admin.create(Map.of("bootstrap.servers", broker));
    if (dies) admin.createTopics(List.of(new NewTopic(input, 1, (short) 1), new NewTopic(output, 1, (short) 1))).all().get();
    StreamsBuilder builder = new StreamsBuilder();
    builder.stream(input, Consumed.with(Serdes.String(), Serdes.String()))
        .flatMapValues(line -> Arrays.asList(line.split(" ")))
        .groupBy((key, word) -> word, Grouped.with(Serdes.String(), Serdes.String()))
        .count(Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("counts"))
                   .withLoggingEnabled(Map.of("segment.bytes", "16384", "min.cleanable.dirty.ratio", "0.01"))
                   .withCachingDisabled())
        .toStream()
        .to(output, Produced.with(Serdes.String(), Serdes.Long()));
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, name);
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, broker);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 50);
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    settings.put(StreamsConfig.consumerPrefix("session.timeout.ms"), 6000);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, System.getProperty("java.io.tmpdir") + "/" + name + "-" + args[2]);

    Map<String, Long> counts = new HashMap<>();
    long wanted = (dies ? 1 : 2) * LINES * 3L, seen = 0;
    KafkaProducer<String, String> producer = new KafkaProducer<>(Map.of("bootstrap.servers", broker), new StringSerializer(), new StringSerializer());
    KafkaConsumer<String, Long> consumer = new KafkaConsumer<>(
        Map.of("bootstrap.servers", broker, "isolation.level", "read_committed"), new StringDeserializer(), new LongDeserializer());
    KafkaStreams streams = new KafkaStreams(builder.build(), settings);
    streams.start();
    for (int i = 0; i < LINES; ++i) {
      producer.send(new ProducerRecord<>(input, 0, null, WORDS.get(i % 8) + " " + WORDS.get(i * 3 % 8) + " " + WORDS.get(i / 8 % 8)));
      if (i % 100 == 0) Thread.sleep(20);  // so that there are many transactions
    }
    producer.flush();
    TopicPartition partition = new TopicPartition(output, 0);
    consumer.assign(List.of(partition));
    consumer.seekToBeginning(List.of(partition));
    long deadline = System.currentTimeMillis() + 90_000;
    while (seen < wanted && System.currentTimeMillis() < deadline) {
      for (ConsumerRecord<String, Long> record : consumer.poll(Duration.ofMillis(200))) {
        long before = counts.getOrDefault(record.key(), 0L);
        if (record.value() != before + 1) throw new IllegalStateException(record.key() + ": " + record.value() + " after " + before);
        counts.put(record.key(), record.value());
        ++seen;
      }
      if (dies && seen > wanted / 3) {
        System.out.println("dies after " + seen);
        System.out.flush();
        Runtime.getRuntime().halt(9);
      }
    }
    if (seen != wanted) throw new IllegalStateException(seen + " of " + wanted + " counts came");
    streams.close(Duration.ofSeconds(10));
    ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, changelog);
    String policy = admin.describeConfigs(List.of(resource)).all().get().get(resource).get("cleanup.policy").value();
    if (!policy.equals("compact")) throw new IllegalStateException("the changelog's policy is " + policy);
    // Of thousands of changes of a few counts hardly any are left.
    long left = Long.MAX_VALUE;
    for (int turn = 0; turn < 50 && left > wanted / 4; ++turn) {
      left = 0;
      try (KafkaConsumer<byte[], byte[]> reader = new KafkaConsumer<>(
               Map.of("bootstrap.servers", broker, "isolation.level", "read_committed"), new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
        TopicPartition from = new TopicPartition(changelog, 0);
        reader.assign(List.of(from));
        reader.seekToBeginning(List.of(from));
        long end = reader.endOffsets(List.of(from)).get(from);
        while (reader.position(from) < end) left += reader.poll(Duration.ofMillis(200)).count();
      }
      Thread.sleep(100);
    }
    if (left > wanted / 4) throw new IllegalStateException("the changelog was not compacted: " + left + " records");
    System.out.println("counted " + seen + ", the changelog has " + left + " records");
    System.exit(0);
  }
}

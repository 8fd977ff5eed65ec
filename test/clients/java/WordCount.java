// Kafka Streams' word count with exactly_once_v2 against a running broker: every count of every word comes out once, in order.
// Usage: java -cp JARS WordCount.java HOST:PORT NAME. The store is in memory and without a changelog; see WordCountStore.java for the other kind.
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

public class WordCount {
  static final List<String> WORDS = List.of("all", "streams", "lead", "to", "kafka", "hello", "join", "summit");
  static final int LINES = 2000;

  public static void main(String[] args) throws Exception {
    String broker = args[0], name = args[1], input = name + "-lines", output = name + "-counts";
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", broker))) {
      admin.createTopics(List.of(new NewTopic(input, 2, (short) 1), new NewTopic(output, 2, (short) 1))).all().get();
    }
    StreamsBuilder builder = new StreamsBuilder();
    builder.stream(input, Consumed.with(Serdes.String(), Serdes.String()))
        .flatMapValues(line -> Arrays.asList(line.split(" ")))
        .groupBy((key, word) -> word, Grouped.with(Serdes.String(), Serdes.String()))
        .count(Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("counts")).withLoggingDisabled().withCachingDisabled())
        .toStream()
        .to(output, Produced.with(Serdes.String(), Serdes.Long()));
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, name);
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, broker);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 50);
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, System.getProperty("java.io.tmpdir") + "/" + name);

    Map<String, Long> counts = new HashMap<>();
    long wanted = 0, seen = 0;
    try (KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        KafkaProducer<String, String> producer = new KafkaProducer<>(Map.of("bootstrap.servers", broker), new StringSerializer(), new StringSerializer());
        KafkaConsumer<String, Long> consumer = new KafkaConsumer<>(
            Map.of("bootstrap.servers", broker, "group.id", name + "-reader", "auto.offset.reset", "earliest", "isolation.level", "read_committed"),
            new StringDeserializer(), new LongDeserializer())) {
      streams.start();
      for (int i = 0; i < LINES; ++i) {
        String line = WORDS.get(i % 8) + " " + WORDS.get(i * 3 % 8) + " " + WORDS.get(i / 8 % 8);
        producer.send(new ProducerRecord<>(input, i % 2, null, line));
        wanted += 3;
        if (i % 100 == 0) Thread.sleep(20);  // so that there are many transactions
      }
      producer.flush();
      consumer.subscribe(List.of(output));
      long deadline = System.currentTimeMillis() + 60_000;
      while (seen < wanted && System.currentTimeMillis() < deadline) {
        for (ConsumerRecord<String, Long> record : consumer.poll(Duration.ofMillis(200))) {
          long before = counts.getOrDefault(record.key(), 0L);
          if (record.value() != before + 1) throw new IllegalStateException(record.key() + ": " + record.value() + " after " + before);
          counts.put(record.key(), record.value());
          ++seen;
        }
      }
    }
    if (seen != wanted) throw new IllegalStateException(seen + " of " + wanted + " counts came");
    System.out.println("counted " + seen);
  }
}

// The Java client against a broker that asks who it is: records, transactions and a group as a user who may, and refusals of those who may not.
// Usage: java -cp JARS Secured.java HOST:PORT FILE.. where each file has settings; "expect" among them is "ok", or the exception that must come.
import java.io.FileReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Secured {
  static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");

  static Properties with(Properties settings, String... more) {
    Properties all = new Properties();
    all.putAll(settings);
    for (int i = 0; i < more.length; i += 2) all.put(more[i], more[i + 1]);
    return all;
  }

  static List<String> read(Properties settings, String topic, int count) {
    List<String> values = new ArrayList<>();
    Properties own = with(settings, "group.id", topic, "auto.offset.reset", "earliest", "isolation.level", "read_committed", "enable.auto.commit", "false");
    try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(own, new StringDeserializer(), new StringDeserializer())) {
      consumer.subscribe(List.of(topic));
      long deadline = System.currentTimeMillis() + 30_000;
      while (values.size() < count && System.currentTimeMillis() < deadline) {
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) values.add(record.value());
      }
      consumer.commitSync();
    }
    return values;
  }

  static void use(Properties settings) throws Exception {
    String topic = "secure-" + UUID.randomUUID();
    try (Admin admin = Admin.create(settings)) {
      admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get();
    } catch (java.util.concurrent.ExecutionException error) {
      throw (Exception) error.getCause();
    }
    List<String> wanted = new ArrayList<>();
    for (String codec : CODECS) {
      try (KafkaProducer<String, String> producer = new KafkaProducer<>(with(settings, "compression.type", codec), new StringSerializer(), new StringSerializer())) {
        for (int i = 0; i < 50; ++i) {
          wanted.add(codec + " " + i + " of a text that compresses well, well, well".repeat(20));
          producer.send(new ProducerRecord<>(topic, wanted.get(wanted.size() - 1)));
        }
      }
    }
    if (!read(settings, topic, wanted.size()).equals(wanted)) throw new IllegalStateException("other records came back");
    wanted.clear();
    try (KafkaProducer<String, String> producer = new KafkaProducer<>(with(settings, "transactional.id", topic), new StringSerializer(), new StringSerializer());
        KafkaConsumer<String, String> other = new KafkaConsumer<>(with(settings, "group.id", topic + "-offsets"), new StringDeserializer(), new StringDeserializer())) {
      producer.initTransactions();
      for (int i = 0; i < 6; ++i) {
        producer.beginTransaction();
        producer.send(new ProducerRecord<>(topic, "transaction " + i));
        producer.sendOffsetsToTransaction(Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(i)), other.groupMetadata());
        if (i % 2 == 0) {
          wanted.add("transaction " + i);
          producer.commitTransaction();
        } else {
          producer.abortTransaction();
        }
        Thread.sleep(1200);  // so that sessions of six seconds end in between
      }
    }
    if (!read(settings, topic, wanted.size()).equals(wanted)) throw new IllegalStateException("other records of transactions came back");
  }

  public static void main(String[] args) throws Exception {
    for (int i = 1; i < args.length; ++i) {
      Properties settings = new Properties();
      try (FileReader file = new FileReader(args[i])) {
        settings.load(file);
      }
      settings.put("bootstrap.servers", args[0]);
      String expected = settings.remove("expect").toString(), what = settings.remove("what").toString(), came = "ok";
      try {
        use(settings);
      } catch (Exception error) {
        came = error.getClass().getSimpleName();
        if (!came.equals(expected)) error.printStackTrace();
      }
      if (!came.equals(expected)) {
        System.err.println(what + ": wanted " + expected + ", came " + came);
        System.exit(1);
      }
      System.out.println("ok  java: " + what + (came.equals("ok") ? "" : ": " + came));
    }
  }
}

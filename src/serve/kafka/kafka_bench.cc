// Loads a Kafka broker, kappa or another, through librdkafka: as fast as it goes, or at a rate. One line of JSON tells what was reached.
// For `bench.py log`, which compares brokers; built on demand: ninja -C build/release kafka_bench.
//
//   kafka_bench produce broker=HOST:PORT topic=T [partitions=N] [producers=N] [bytes=N] [codec=C] [seconds=S] [warm=S] [rate=N] [linger=MS] [consume=1]
//   kafka_bench consume broker=HOST:PORT topic=T [partitions=N]
//
// With `rate`, record i of a producer is due at start + i / rate, and latency counts from then: a stalled broker cannot hide behind a client that
// waits for it. Every record has its producer, its place in the producer's sequence for the partition, and when it was due; who consumes checks
// that none is missing or doubled.
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

// While records are due and a partition's limit of requests in flight is reached, librdkafka's thread polls with timeout 0 until an answer comes: a
// whole core for each producer, which a broker on the same small machine then lacks. This stands before libc's poll: after two such calls without
// an event it waits up to 100 us for the same descriptors. An answer ends the wait at once.
extern "C" int poll(pollfd* descriptors, nfds_t count, int timeout_ms) {
  static thread_local int empty = 0;
  timespec wait{timeout_ms / 1000, timeout_ms % 1000 * 1'000'000L};
  if (timeout_ms == 0 && empty >= 2) wait.tv_nsec = 100'000;
  const int ready = ppoll(descriptors, count, timeout_ms < 0 ? nullptr : &wait, nullptr);
  empty = timeout_ms == 0 && ready == 0 ? empty + 1 : 0;
  return ready;
}
// What a library that was built with _FORTIFY_SOURCE calls instead.
extern "C" int __poll_chk(pollfd* descriptors, nfds_t count, int timeout_ms, size_t) { return poll(descriptors, count, timeout_ms); }

namespace {

constexpr int kRecordsAtOnce = 500;  // to one partition before the next one has its turn
constexpr int64_t kOutstandingMax = 100'000;  // records of a producer without acknowledgement, below librdkafka's own limit
constexpr int64_t kGiveUpNs = 15'000'000'000;

int64_t NowNs() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

[[noreturn]] void Die(const std::string& why) {
  fmt::print(stderr, "kafka_bench: {}\n", why);
  std::exit(2);
}

struct Options {
  std::map<std::string, std::string> given;
  std::string Text(const char* name, const char* fallback) const {
    auto found = given.find(name);
    return found == given.end() ? fallback : found->second;
  }
  double Number(const char* name, double fallback) const {
    auto found = given.find(name);
    return found == given.end() ? fallback : std::atof(found->second.c_str());
  }
};

/// At the front of each record; text follows.
struct Stamp {
  uint32_t producer;
  uint32_t magic;
  int64_t sequence;
  int64_t due_ns;
};
constexpr uint32_t kMagic = 0x6b617070;

/// What may be measured: [from_ns, to_ns).
struct Window {
  int64_t start_ns, from_ns, to_ns;
  bool Has(int64_t at_ns) const { return at_ns >= from_ns && at_ns < to_ns; }
};

/// Texts like events in JSON; lz4 makes them less than half as large.
class Bodies {
 public:
  explicit Bodies(size_t bytes) : bytes_(std::max(bytes, sizeof(Stamp))), count_((size_t{8} << 20) / bytes_ + 1) {
    std::mt19937 random(1);
    const char* const actions[] = {"page_view", "click", "add_to_cart", "search", "purchase", "login"};
    while (text_.size() < bytes_ * count_) {
      text_ += fmt::format(R"("user":{},"action":"{}","path":"/item/{}","amount":{}.{:02},"session":"{:08x}{:08x}",)", random() % 1'000'000,
                           actions[random() % 6], random() % 100'000, random() % 500, random() % 100, random(), random());
    }
  }
  size_t bytes() const { return bytes_; }
  void Put(char* into, uint64_t number, const Stamp& stamp) const {
    std::memcpy(into, text_.data() + number % count_ * bytes_, bytes_);
    std::memcpy(into, &stamp, sizeof stamp);
  }

 private:
  const size_t bytes_, count_;
  std::string text_;
};

rd_kafka_conf_t* Configuration(const Options& options, const std::map<std::string, std::string>& settings) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  char error[256];
  auto set = [&](const std::string& name, const std::string& value) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), error, sizeof error) != RD_KAFKA_CONF_OK) Die(error);
  };
  set("bootstrap.servers", options.Text("broker", "127.0.0.1:9092"));
  set("socket.nagle.disable", "true");
  for (const auto& [name, value] : settings) set(name, value);
  return conf;
}

rd_kafka_t* Client(rd_kafka_type_t type, rd_kafka_conf_t* conf) {
  char error[256];
  rd_kafka_t* client = rd_kafka_new(type, conf, error, sizeof error);
  if (client == nullptr) Die(error);
  return client;
}

class Producer {
 public:
  Producer(const Options& options, uint32_t number, const Bodies& bodies, const Window& window)
      : number_(number), bodies_(bodies), window_(window), partitions_(static_cast<int>(options.Number("partitions", 1))) {
    rate_ = options.Number("rate", 0) / options.Number("producers", 1);
    rd_kafka_conf_t* conf = Configuration(options, {{"acks", "-1"},
                                                    {"enable.idempotence", "true"},
                                                    {"linger.ms", options.Text("linger", "5")},
                                                    {"batch.size", "1000000"},
                                                    {"compression.codec", options.Text("codec", "none")},
                                                    {"queue.buffering.max.messages", "2000000"},
                                                    {"queue.buffering.max.kbytes", "2000000"}});
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
    client_ = Client(RD_KAFKA_PRODUCER, conf);
    events_ = rd_kafka_queue_get_main(client_);
    topic_ = rd_kafka_topic_new(client_, options.Text("topic", "bench").c_str(), nullptr);
    const rd_kafka_metadata_t* metadata;
    if (rd_kafka_metadata(client_, 0, topic_, &metadata, 10'000) != RD_KAFKA_RESP_ERR_NO_ERROR || metadata->topics[0].partition_cnt < partitions_) {
      Die("the topic is not there, or has fewer partitions");
    }
    rd_kafka_metadata_destroy(metadata);
    if (rate_ > 0) latencies_.reserve(static_cast<size_t>(rate_ * static_cast<double>(window.to_ns - window.from_ns) / 1e9 * 1.2));
  }
  ~Producer() {
    rd_kafka_topic_destroy(topic_);
    rd_kafka_queue_destroy(events_);
    rd_kafka_destroy(client_);
  }

  /// Sends until the window ends, then waits for what is under way.
  void Run() {
    prctl(PR_SET_TIMERSLACK, 1000UL);
    last_ack_ns_ = window_.from_ns;
    std::thread answers;
    if (rate_ > 0)
      answers = std::thread([this] {
        while (!done_) TakeAnswers(50);
      });
    Send();
    const int64_t give_up_ns = NowNs() + kGiveUpNs;
    while (outstanding_ > 0 && NowNs() < give_up_ns) rate_ > 0 ? std::this_thread::sleep_for(std::chrono::milliseconds(1)) : (void)TakeAnswers(50);
    done_ = true;
    if (answers.joinable()) answers.join();
    longest_gap_ns_ = std::max(longest_gap_ns_, window_.to_ns - std::max(last_ack_ns_, window_.from_ns));
  }

  int64_t sent() const { return sent_; }
  int64_t acknowledged() const { return acknowledged_; }
  int64_t in_window() const { return in_window_; }
  int64_t longest_gap_ns() const { return longest_gap_ns_; }
  std::vector<float>& latencies() { return latencies_; }

 private:
  void Send() {
    std::vector<rd_kafka_message_t> messages(kRecordsAtOnce);
    std::string payloads(kRecordsAtOnce * bodies_.bytes(), '\0');
    std::vector<int64_t> sequences(static_cast<size_t>(partitions_), 0);
    const int64_t turn = rate_ > 0 ? std::max<int64_t>(1, static_cast<int64_t>(rate_ / 100)) : kRecordsAtOnce;
    int partition = static_cast<int>(number_) % partitions_;
    for (int64_t left = turn;;) {
      const int64_t now = NowNs();
      int64_t count = kRecordsAtOnce;
      if (rate_ > 0) {
        const int64_t due = DueNs(sent_);
        if (due >= window_.to_ns || now > window_.to_ns + kGiveUpNs) return;
        if (due > now) {  // wakes at most every 100 us
          std::this_thread::sleep_for(std::chrono::nanoseconds(std::max<int64_t>(due - now, 100'000)));
          continue;
        }
        count = std::clamp<int64_t>(static_cast<int64_t>(static_cast<double>(now - window_.start_ns) * rate_ / 1e9) - sent_ + 1, 1, kRecordsAtOnce);
      } else if (now >= window_.to_ns) {
        return;
      }
      count = std::min(count, left);
      for (int64_t i = 0; i < count; ++i) {
        char* payload = payloads.data() + static_cast<size_t>(i) * bodies_.bytes();
        const int64_t due = rate_ > 0 ? DueNs(sent_ + i) : now;
        bodies_.Put(payload, static_cast<uint64_t>(sent_ + i), {number_, kMagic, sequences[static_cast<size_t>(partition)]++, due});
        rd_kafka_message_t& message = messages[static_cast<size_t>(i)];
        message = {};
        message.payload = payload;
        message.len = bodies_.bytes();
        message._private = reinterpret_cast<void*>(due);
      }
      outstanding_ += count;
      if (rd_kafka_produce_batch(topic_, partition, RD_KAFKA_MSG_F_COPY, messages.data(), static_cast<int>(count)) != count)
        Die("librdkafka refused records");
      sent_ += count;
      if ((left -= count) == 0) {
        left = turn;
        partition = (partition + 1) % partitions_;
      }
      if (rate_ == 0) {
        while (TakeAnswers(0)) {}
      }
      while (outstanding_ > kOutstandingMax && NowNs() < window_.to_ns + kGiveUpNs) {
        rate_ > 0 ? std::this_thread::sleep_for(std::chrono::microseconds(200)) : (void)TakeAnswers(20);
      }
    }
  }

  int64_t DueNs(int64_t record) const { return window_.start_ns + static_cast<int64_t>(static_cast<double>(record) * 1e9 / rate_); }

  bool TakeAnswers(int timeout_ms) {
    rd_kafka_event_t* event = rd_kafka_queue_poll(events_, timeout_ms);
    if (event == nullptr) return false;
    const int64_t now = NowNs();
    int64_t answered = 0;
    while (const rd_kafka_message_t* message = rd_kafka_event_message_next(event)) {
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) Die(rd_kafka_err2str(message->err));
      ++answered;
      const auto due = reinterpret_cast<int64_t>(message->_private);
      if (rate_ > 0 && window_.Has(due)) latencies_.push_back(static_cast<float>(now - due) / 1e6f);
    }
    rd_kafka_event_destroy(event);
    if (answered == 0) return true;
    acknowledged_ += answered;
    outstanding_ -= answered;
    if (window_.Has(now)) {
      in_window_ += answered;
      longest_gap_ns_ = std::max(longest_gap_ns_, now - last_ack_ns_);
    }
    last_ack_ns_ = std::max(now, window_.from_ns);
    return true;
  }

  const uint32_t number_;
  const Bodies& bodies_;
  const Window& window_;
  const int partitions_;
  double rate_;
  rd_kafka_t* client_;
  rd_kafka_queue_t* events_;
  rd_kafka_topic_t* topic_;
  std::atomic<int64_t> outstanding_{0};
  std::atomic<bool> done_{false};
  int64_t sent_ = 0, acknowledged_ = 0, in_window_ = 0, last_ack_ns_ = 0, longest_gap_ns_ = 0;
  std::vector<float> latencies_;  // ms
};

/// Reads all partitions from their beginnings.
class Consumer {
 public:
  Consumer(const Options& options, const Window* window) : window_(window), partitions_(static_cast<int>(options.Number("partitions", 1))) {
    client_ = Client(RD_KAFKA_CONSUMER, Configuration(options, {{"group.id", "kafka_bench"},
                                                                {"enable.auto.commit", "false"},
                                                                {"queued.min.messages", window != nullptr ? "100000" : "1000000"},
                                                                {"fetch.message.max.bytes", window != nullptr ? "1048576" : "4194304"}}));
    rd_kafka_poll_set_consumer(client_);
    queue_ = rd_kafka_queue_get_consumer(client_);
    topic_ = options.Text("topic", "bench");
    rd_kafka_topic_partition_list_t* all = rd_kafka_topic_partition_list_new(partitions_);
    for (int partition = 0; partition < partitions_; ++partition)
      rd_kafka_topic_partition_list_add(all, topic_.c_str(), partition)->offset = RD_KAFKA_OFFSET_BEGINNING;
    if (rd_kafka_assign(client_, all) != RD_KAFKA_RESP_ERR_NO_ERROR) Die("the partitions cannot be assigned");
    rd_kafka_topic_partition_list_destroy(all);
  }
  ~Consumer() {
    rd_kafka_queue_destroy(queue_);
    rd_kafka_consumer_close(client_);
    rd_kafka_destroy(client_);
  }

  int64_t RecordsThere() {
    int64_t count = 0;
    for (int partition = 0; partition < partitions_; ++partition) {
      int64_t low, high;
      if (rd_kafka_query_watermark_offsets(client_, topic_.c_str(), partition, &low, &high, 10'000) != RD_KAFKA_RESP_ERR_NO_ERROR)
        Die("no watermark offsets");
      count += high - low;
    }
    return count;
  }
  void Poll() {
    rd_kafka_consume_callback_queue(queue_, 100, [](rd_kafka_message_t* message, void* self) { static_cast<Consumer*>(self)->Take(*message); }, this);
  }
  int64_t records() const { return records_; }
  int64_t bytes() const { return bytes_; }
  int64_t lost() const { return lost_; }
  int64_t doubled() const { return doubled_; }
  std::vector<float>& latencies() { return latencies_; }

 private:
  void Take(const rd_kafka_message_t& message) {
    if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) return;
    Stamp stamp;
    if (message.len < sizeof stamp) Die("a record of somebody else");
    std::memcpy(&stamp, message.payload, sizeof stamp);
    if (stamp.magic != kMagic) Die("a record of somebody else");
    ++records_;
    bytes_ += static_cast<int64_t>(message.len);
    int64_t& expected = expected_[{stamp.producer, message.partition}];
    if (stamp.sequence >= expected) lost_ += stamp.sequence - std::exchange(expected, stamp.sequence + 1);
    else ++doubled_;
    if (window_ != nullptr && window_->Has(stamp.due_ns)) latencies_.push_back(static_cast<float>(NowNs() - stamp.due_ns) / 1e6f);
  }

  const Window* const window_;
  const int partitions_;
  std::string topic_;
  rd_kafka_t* client_;
  rd_kafka_queue_t* queue_;
  std::map<std::pair<uint32_t, int32_t>, int64_t> expected_;
  std::atomic<int64_t> records_{0};
  int64_t bytes_ = 0, lost_ = 0, doubled_ = 0;
  std::vector<float> latencies_;  // ms
};

std::string Quantiles(const char* name, std::vector<float>& values) {
  if (values.empty()) return "";
  std::ranges::sort(values);
  auto at = [&](double share) { return values[std::min(values.size() - 1, static_cast<size_t>(share * static_cast<double>(values.size())))]; };
  return fmt::format(R"(, "{}_ms": {{"p50": {:.3f}, "p99": {:.3f}, "p999": {:.3f}, "max": {:.3f}}})", name, at(0.5), at(0.99), at(0.999),
                     values.back());
}

double ClientCpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

int Produce(const Options& options) {
  const Bodies bodies(static_cast<size_t>(options.Number("bytes", 200)));
  Window window{};
  const bool consume = options.Number("consume", 0) != 0;
  std::unique_ptr<Consumer> consumer;
  if (consume) consumer = std::make_unique<Consumer>(options, &window);
  const double seconds = options.Number("seconds", 5), warm = options.Number("warm", 1);
  window.to_ns = static_cast<int64_t>(seconds * 1e9);  // so long: producers reserve memory
  std::vector<std::unique_ptr<Producer>> producers;
  for (uint32_t i = 0; i < static_cast<uint32_t>(options.Number("producers", 1)); ++i)
    producers.push_back(std::make_unique<Producer>(options, i, bodies, window));
  window.start_ns = NowNs() + (consume ? 500'000'000 : 20'000'000);
  window.from_ns = window.start_ns + static_cast<int64_t>(warm * 1e9);
  window.to_ns = window.from_ns + static_cast<int64_t>(seconds * 1e9);
  std::atomic<bool> stop{false};
  std::thread consuming;
  if (consume)
    consuming = std::thread([&] {
      while (!stop) consumer->Poll();
    });
  std::this_thread::sleep_for(std::chrono::nanoseconds(window.start_ns - NowNs()));
  std::vector<std::thread> threads;
  for (auto& producer : producers) threads.emplace_back([&] { producer->Run(); });
  for (std::thread& thread : threads) thread.join();
  int64_t sent = 0, acknowledged = 0, in_window = 0, longest_gap_ns = 0;
  std::vector<float> latencies;
  for (auto& producer : producers) {
    sent += producer->sent();
    acknowledged += producer->acknowledged();
    in_window += producer->in_window();
    longest_gap_ns = std::max(longest_gap_ns, producer->longest_gap_ns());
    latencies.insert(latencies.end(), producer->latencies().begin(), producer->latencies().end());
  }
  std::string more = Quantiles("ack", latencies);
  bool right = acknowledged == sent;
  if (consume) {
    const int64_t give_up_ns = NowNs() + kGiveUpNs;
    while (consumer->records() < acknowledged && NowNs() < give_up_ns) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    stop = true;
    consuming.join();
    right = right && consumer->records() == acknowledged && consumer->lost() == 0 && consumer->doubled() == 0;
    more += Quantiles("end_to_end", consumer->latencies()) + fmt::format(R"(, "lost": {}, "doubled": {})", consumer->lost(), consumer->doubled());
  }
  fmt::print(
      R"({{"sent": {}, "acknowledged": {}, "records_per_second": {:.0f}, "mb_per_second": {:.1f}, "longest_stall_ms": {:.1f}, "client_cpu_seconds": {:.2f}{}}})"
      "\n",
      sent, acknowledged, static_cast<double>(in_window) / seconds,
      static_cast<double>(in_window) * static_cast<double>(bodies.bytes()) / seconds / 1e6, static_cast<double>(longest_gap_ns) / 1e6,
      ClientCpuSeconds(), more);
  return right ? 0 : 1;
}

int Consume(const Options& options) {
  Consumer consumer(options, nullptr);
  const int64_t there = consumer.RecordsThere(), start_ns = NowNs();
  int64_t moved_ns = start_ns;
  for (int64_t seen = 0; consumer.records() < there && NowNs() - moved_ns < kGiveUpNs;) {
    consumer.Poll();
    if (consumer.records() != seen) moved_ns = NowNs();
    seen = consumer.records();
  }
  const double seconds = static_cast<double>(NowNs() - start_ns) / 1e9;
  fmt::print(
      R"({{"consumed": {}, "there": {}, "records_per_second": {:.0f}, "mb_per_second": {:.1f}, "lost": {}, "doubled": {}, "client_cpu_seconds": {:.2f}}})"
      "\n",
      consumer.records(), there, static_cast<double>(consumer.records()) / seconds, static_cast<double>(consumer.bytes()) / seconds / 1e6,
      consumer.lost(), consumer.doubled(), ClientCpuSeconds());
  return consumer.records() == there && consumer.lost() == 0 && consumer.doubled() == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    const size_t equals = word.find('=');
    if (equals == std::string::npos) Die("not NAME=VALUE: " + word);
    options.given[word.substr(0, equals)] = word.substr(equals + 1);
  }
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "produce") return Produce(options);
  if (mode == "consume") return Consume(options);
  Die("usage: kafka_bench produce|consume NAME=VALUE.., see the head of kafka_bench.cc");
}

#include "cli/topic_produce.h"

#include <algorithm>

#include <fmt/format.h>
#include <simdjson.h>

#include "cli/client.h"
#include "cli/line_source.h"
#include "cli/progress.h"
#include "format/decoder.h"
#include "io/clock.h"

namespace kappa::cli {
namespace {

static_assert(LineSource::kPadding >= simdjson::SIMDJSON_PADDING);
constexpr int kPollEvery = 256;  // records
// After Ctrl-C: how long what is already queued may take.
constexpr int64_t kDrainUs = 10'000'000;

/// The value of one top-level field of a JSON line, as a key: the text of a string, the JSON of anything else. Views are valid until
/// the next call.
class KeyReader {
 public:
  explicit KeyReader(const std::string& field) : field_(field) {}

  std::optional<std::string_view> Read(std::string_view line) {
    simdjson::ondemand::document document;
    simdjson::ondemand::value value;
    if (parser_.iterate(line.data(), line.size(), line.size() + LineSource::kPadding).get(document) != simdjson::SUCCESS ||
        document.find_field_unordered(field_).get(value) != simdjson::SUCCESS) {
      return std::nullopt;
    }
    simdjson::ondemand::json_type type;
    std::string_view text;
    if (value.type().get(type) != simdjson::SUCCESS || type == simdjson::ondemand::json_type::null) return std::nullopt;
    if (type == simdjson::ondemand::json_type::string) {
      if (value.get_string().get(text) != simdjson::SUCCESS) return std::nullopt;
      return text;
    }
    if (simdjson::to_json_string(value).get(text) != simdjson::SUCCESS) return std::nullopt;
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
  }

 private:
  const std::string field_;
  simdjson::ondemand::parser parser_;
};

class Producer {
 public:
  explicit Producer(const ProduceOptions& options) : options_(options), key_(options.key), progress_("produce", "records") {}

  int Run() {
    Status status = Produce();
    const double seconds = progress_.seconds();
    progress_.Clear();
    if (!status.ok()) PrintError(status.error());
    if (started_) Summarize(seconds);
    return status.ok() && failed_ == 0 && !interrupted_ && acknowledged_ == queued_ ? 0 : 1;
  }

 private:
  Status Produce() {
    KAPPA_ASSIGN_OR_RETURN(LineSource source, LineSource::Open(options_.files));
    KAPPA_ASSIGN_OR_RETURN(handle_, KafkaHandle::Connect(options_.address, RD_KAFKA_PRODUCER,
                                                         {{"enable.idempotence", "true"},
                                                          {"compression.type", options_.compression},
                                                          {"partitioner", "murmur2_random"},
                                                          {"linger.ms", "5"},
                                                          {"batch.num.messages", "20000"},
                                                          {"message.max.bytes", "100000000"},
                                                          {"queue.buffering.max.messages", "200000"},
                                                          {"queue.buffering.max.kbytes", "131072"}},
                                                         [this](const rd_kafka_message_t& message) { OnDelivery(message); }));
    KAPPA_ASSIGN_OR_RETURN(const TopicMetadata metadata, handle_->FindTopic(options_.topic));
    if (options_.partition >= metadata.partitions) {
      return Error(sqlstate::kInvalidParameterValue, fmt::format("topic \"{}\" has no partition {}", options_.topic, options_.partition))
          .Detail(fmt::format("It has partitions 0 to {}.", metadata.partitions - 1));
    }
    topic_.reset(rd_kafka_topic_new(handle_->get(), options_.topic.c_str(), nullptr));
    if (topic_ == nullptr) return KafkaFailure(rd_kafka_last_error(), fmt::format("could not open topic \"{}\"", options_.topic));
    started_ = true;

    Status status = SendLines(source);
    Drain();
    return status;
  }

  Status SendLines(LineSource& source) {
    const uint64_t last = options_.lines ? options_.from_line + std::min(*options_.lines, UINT64_MAX - options_.from_line) : UINT64_MAX;
    for (uint64_t line = 1; line < last && !(interrupted_ = Interrupted()) && fatal_.empty(); ++line) {
      KAPPA_ASSIGN_OR_RETURN(const std::optional<std::string_view> text, source.Next());
      if (!text) break;
      if (line < options_.from_line || text->empty()) continue;
      KAPPA_RETURN_IF_ERROR(Send(*text));
      if (queued_ % kPollEvery != 0 && options_.rate == 0) continue;
      rd_kafka_poll(handle_->get(), 0);
      Pace();
      std::optional<double> fraction;
      if (options_.lines && *options_.lines > 0) {
        fraction = static_cast<double>(queued_) / static_cast<double>(*options_.lines);
      } else if (source.bytes_total()) {
        fraction = static_cast<double>(source.bytes_read()) / static_cast<double>(std::max<uint64_t>(*source.bytes_total(), 1));
      }
      progress_.Update(acknowledged_, acknowledged_bytes_, fraction);
    }
    if (!fatal_.empty()) return Error(sqlstate::kIoError, fatal_);
    return Status::Ok();
  }

  Status Send(std::string_view text) {
    std::optional<std::string_view> key;
    if (!options_.key.empty() && !(key = key_.Read(text))) ++without_key_;
    while (true) {
      const int result = rd_kafka_produce(topic_.get(), options_.partition, RD_KAFKA_MSG_F_COPY, const_cast<char*>(text.data()), text.size(),
                                          key ? key->data() : nullptr, key ? key->size() : 0, nullptr);
      if (result == 0) {
        ++queued_;
        return Status::Ok();
      }
      const rd_kafka_resp_err_t error = rd_kafka_last_error();
      if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        ++queued_;
        Failed(error);
        return Status::Ok();
      }
      rd_kafka_poll(handle_->get(), 20);
      progress_.Update(acknowledged_, acknowledged_bytes_, std::nullopt);
      if (Interrupted()) return Status::Ok();
    }
  }

  /// Waits until the next record is due.
  void Pace() {
    while (options_.rate > 0 && !Interrupted()) {
      const double ahead = static_cast<double>(queued_) / options_.rate - progress_.seconds();
      if (ahead <= 0.001) return;
      rd_kafka_poll(handle_->get(), static_cast<int>(std::min(ahead * 1000, 50.0)));
      progress_.Update(acknowledged_, acknowledged_bytes_, std::nullopt);
    }
  }

  void Drain() {
    int64_t give_up_us = INT64_MAX;
    while (rd_kafka_outq_len(handle_->get()) > 0) {
      rd_kafka_poll(handle_->get(), 50);
      progress_.Update(acknowledged_, acknowledged_bytes_, std::nullopt);
      const int64_t now_us = io::RealClock().SteadyMicros();
      if (Interrupted()) {
        interrupted_ = true;
        give_up_us = std::min(give_up_us, now_us + kDrainUs);
      }
      if (now_us > give_up_us) return;
    }
  }

  void OnDelivery(const rd_kafka_message_t& message) {
    if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) return Failed(message.err);
    ++acknowledged_;
    acknowledged_bytes_ += message.len + message.key_len;
  }
  void Failed(rd_kafka_resp_err_t error) {
    if (failed_++ == 0) first_error_ = rd_kafka_err2str(error);
    if (error == RD_KAFKA_RESP_ERR__FATAL || error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
        error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
      fatal_ = fmt::format("could not produce to topic \"{}\": {}", options_.topic, rd_kafka_err2str(error));
    }
  }

  void Summarize(double seconds) const {
    const auto rate = static_cast<uint64_t>(static_cast<double>(acknowledged_) / std::max(seconds, 1e-6));
    if (options_.json) {
      std::string out = "{\"topic\":";
      format::AppendJsonString(options_.topic, out);
      out += fmt::format(
          ",\"acknowledged\":{},\"failed\":{},\"unacknowledged\":{},\"without_key\":{},\"bytes\":{},\"seconds\":{:.3f},\"records_per_second\":{},"
          "\"interrupted\":{},\"error\":",
          acknowledged_, failed_, queued_ - acknowledged_ - failed_, without_key_, acknowledged_bytes_, seconds, rate, interrupted_);
      if (first_error_.empty()) {
        out += "null";
      } else {
        format::AppendJsonString(first_error_, out);
      }
      fmt::print("{}}}\n", out);
      return;
    }
    fmt::print("{} ({}) acknowledged by topic \"{}\" in {}: {} records/s\n", Counted(acknowledged_, "record"), HumanBytes(acknowledged_bytes_),
               options_.topic, HumanSeconds(seconds), HumanCount(rate));
    if (failed_ > 0) fmt::print(stderr, "{} failed: {}\n", Counted(failed_, "record"), first_error_);
    if (without_key_ > 0) fmt::print(stderr, "{} without field \"{}\" sent without a key\n", Counted(without_key_, "record"), options_.key);
    if (interrupted_) fmt::print(stderr, "interrupted; {} records were sent but not acknowledged\n", HumanCount(queued_ - acknowledged_ - failed_));
  }

  struct DestroyTopic {
    void operator()(rd_kafka_topic_t* topic) const { rd_kafka_topic_destroy(topic); }
  };

  const ProduceOptions& options_;
  KeyReader key_;
  Progress progress_;
  std::unique_ptr<KafkaHandle> handle_;
  std::unique_ptr<rd_kafka_topic_t, DestroyTopic> topic_;
  uint64_t queued_ = 0, acknowledged_ = 0, acknowledged_bytes_ = 0, failed_ = 0, without_key_ = 0;
  std::string first_error_, fatal_;
  bool started_ = false, interrupted_ = false;
};

}  // namespace

int ProduceToTopic(const ProduceOptions& options) {
  Interrupted();  // takes Ctrl-C over
  return Producer(options).Run();
}

}  // namespace kappa::cli

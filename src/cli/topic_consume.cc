#include "cli/topic_consume.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>
#include <simdjson.h>

#include "cli/client.h"
#include "cli/kafka_admin.h"
#include "cli/progress.h"
#include "cli/topic_reader.h"
#include "data/datetime.h"
#include "format/decoder.h"

namespace kappa::cli {
namespace {

constexpr size_t kOutputBytes = 256 << 10;

std::string_view Key(const rd_kafka_message_t& message) { return {static_cast<const char*>(message.key), message.key_len}; }
std::string_view Value(const rd_kafka_message_t& message) { return {static_cast<const char*>(message.payload), message.len}; }

int64_t TimestampMs(const rd_kafka_message_t& message) {
  rd_kafka_timestamp_type_t type;
  return rd_kafka_message_timestamp(&message, &type);
}

void AppendBase64(std::string_view bytes, std::string& out) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) group = group << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0);
    for (size_t j = 0; j < 4; ++j) out += i + j <= bytes.size() ? kDigits[group >> (18 - 6 * j) & 63] : '=';
  }
}

/// "name": a string, "name_base64" when the bytes are no text, null when there are none.
void AppendJsonField(const char* name, const void* data, std::string_view bytes, std::string& out) {
  const bool is_text = simdjson::validate_utf8(bytes.data(), bytes.size());
  out += fmt::format(",\"{}{}\":", name, is_text ? "" : "_base64");
  if (data == nullptr) {
    out += "null";
  } else if (is_text) {
    format::AppendJsonString(bytes, out);
  } else {
    out += '"';
    AppendBase64(bytes, out);
    out += '"';
  }
}

void AppendJsonRecord(const rd_kafka_message_t& message, std::string& out) {
  out += fmt::format("{{\"partition\":{},\"offset\":{},\"timestamp_ms\":{}", message.partition, message.offset, TimestampMs(message));
  AppendJsonField("key", message.key, Key(message), out);
  AppendJsonField("value", message.payload, Value(message), out);
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    out += ",\"headers\":[";
    const char* name;
    const void* value;
    size_t size;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) {
      out += i == 0 ? "{\"name\":" : ",{\"name\":";
      format::AppendJsonString(name, out);
      AppendJsonField("value", value, {static_cast<const char*>(value), size}, out);
      out += '}';
    }
    out += ']';
  }
  out += "}\n";
}

/// One line for a person: line ends inside a value would break the table.
void AppendShown(const void* data, std::string_view bytes, std::string& out) {
  if (data == nullptr) {
    out += "(null)";
    return;
  }
  for (char c : bytes) out += c == '\n' || c == '\r' || c == '\t' ? ' ' : c;
}

void AppendTableRecord(const rd_kafka_message_t& message, std::string& out) {
  out += fmt::format("{:>9}  {:>10}  ", message.partition, message.offset);
  const size_t before = out.size();
  data::AppendTimestamp(TimestampMs(message) * 1000, out);
  out.append(out.size() < before + 23 ? before + 23 - out.size() : 0, ' ');
  out += "  ";
  const size_t key_at = out.size();
  AppendShown(message.key, Key(message), out);
  out.append(out.size() < key_at + 16 ? key_at + 16 - out.size() : 0, ' ');
  out += "  ";
  AppendShown(message.payload, Value(message), out);
  out += '\n';
}

}  // namespace

int ConsumeTopic(const ConsumeOptions& options) {
  Interrupted();  // takes Ctrl-C over
  Result<Position> from = ParsePosition(options.from);
  if (!from.ok()) return Fail(from.error());
  std::optional<Position> to;
  if (!options.to.empty()) {
    Result<Position> parsed = ParsePosition(options.to);
    if (!parsed.ok()) return Fail(parsed.error());
    to = *parsed;
  }
  auto handle = KafkaHandle::Connect(options.address, RD_KAFKA_CONSUMER,
                                     {{"enable.partition.eof", "true"},
                                      {"auto.offset.reset", "error"},
                                      {"fetch.message.max.bytes", "8388608"},
                                      {"queued.max.messages.kbytes", "65536"},
                                      {"message.max.bytes", "100000000"},
                                      {"fetch.wait.max.ms", "100"}});
  if (!handle.ok()) return Fail(handle.error());
  auto reader = TopicReader::Open(**handle, options.topic, options.partition, *from, to);
  if (!reader.ok()) return Fail(reader.error());

  std::string out;
  uint64_t count = 0;
  int write_error = 0;
  auto flush = [&] {
    if (write_error == 0 && (std::fwrite(out.data(), 1, out.size(), stdout) != out.size() || std::fflush(stdout) != 0)) write_error = errno;
    out.clear();
  };
  if (options.format == RecordFormat::kTable)
    out += fmt::format("{:>9}  {:>10}  {:<23}  {:<16}  {}\n", "partition", "offset", "timestamp (UTC)", "key", "value");
  Status status = (*reader)->Read(
      options.follow,
      [&](const rd_kafka_message_t& message) {
        if (options.limit && count >= *options.limit) return false;
        switch (options.format) {
          case RecordFormat::kValue:
            out += Value(message);
            out += '\n';
            break;
          case RecordFormat::kJson: AppendJsonRecord(message, out); break;
          case RecordFormat::kTable: AppendTableRecord(message, out); break;
        }
        if (out.size() > kOutputBytes) flush();
        ++count;
        return write_error == 0 && (!options.limit || count < *options.limit);
      },
      flush);
  flush();
  if (!status.ok()) return Fail(status.error());
  if (write_error != 0 && write_error != EPIPE) {  // a reader like `head` may leave early
    return Fail(Error(sqlstate::kIoError, fmt::format("could not write to standard output: {}", std::strerror(write_error))));
  }
  return 0;
}

int VerifyTopics(const BrokerAddress& address, const std::vector<std::string>& topics, bool json) {
  Interrupted();
  auto handle = KafkaHandle::Connect(address, RD_KAFKA_CONSUMER,
                                     {{"enable.partition.eof", "true"},
                                      {"auto.offset.reset", "error"},
                                      {"check.crcs", "true"},
                                      {"fetch.message.max.bytes", "8388608"},
                                      {"message.max.bytes", "100000000"},
                                      {"fetch.wait.max.ms", "100"}});
  if (!handle.ok()) return Fail(handle.error());
  std::vector<std::string> names = topics;
  if (names.empty()) {
    auto all = (*handle)->ListTopics();
    if (!all.ok()) return Fail(all.error());
    for (const TopicMetadata& topic : *all) names.push_back(topic.name);
  }
  bool good = true;
  for (const std::string& name : names) {
    auto reader = TopicReader::Open(**handle, name, -1, {Position::Kind::kEarliest}, std::nullopt);
    if (!reader.ok()) return Fail(reader.error());
    const uint64_t expected = (*reader)->records_total();
    std::vector<int64_t> next;  // offset that must come, by partition
    for (const ReadRange& range : (*reader)->ranges()) next.push_back(range.begin);
    uint64_t count = 0, bytes = 0, gaps = 0;
    Progress progress("verify " + name, "records");
    Status status = (*reader)->Read(
        false,
        [&](const rd_kafka_message_t& message) {
          int64_t& offset = next[static_cast<size_t>(message.partition)];
          if (message.offset != offset) ++gaps;  // compaction leaves some
          offset = message.offset + 1;
          ++count;
          bytes += message.len + message.key_len;
          progress.Update(count, bytes, static_cast<double>(count) / static_cast<double>(std::max<uint64_t>(expected, 1)));
          return true;
        },
        [] {});
    const double seconds = progress.seconds();
    progress.Clear();
    if (status.ok() && Interrupted()) status = Error(sqlstate::kQueryCanceled, fmt::format("interrupted in topic \"{}\"", name));
    auto config = DescribeTopicConfig(**handle, name);
    if (!config.ok()) return Fail(config.error());
    const bool compacted = std::ranges::any_of(
        *config, [](const ConfigEntry& entry) { return entry.name == "cleanup.policy" && entry.value.find("compact") != entry.value.npos; });
    if (status.ok() && !compacted && (gaps > 0 || count != expected)) {
      status = Error(sqlstate::kDataCorrupted, fmt::format("topic \"{}\" has {} records where its offsets promise {}", name, count, expected))
                   .Detail(fmt::format("{} times an offset was not the one after its predecessor.", gaps));
    }
    good = good && status.ok();
    if (json) {
      std::string out = "{\"topic\":";
      format::AppendJsonString(name, out);
      out += fmt::format(",\"records\":{},\"bytes\":{},\"seconds\":{:.3f},\"ok\":{},\"error\":", count, bytes, seconds, status.ok());
      if (status.ok()) {
        out += "null";
      } else {
        format::AppendJsonString(status.error().message(), out);
      }
      fmt::print("{}}}\n", out);
    } else if (status.ok()) {
      fmt::print("topic \"{}\" is intact: {} records, {}, checksums and offsets checked in {}\n", name, HumanCount(count), HumanBytes(bytes),
                 HumanSeconds(seconds));
    }
    if (!status.ok()) PrintError(status.error());
    if (Interrupted()) return 1;
  }
  return good ? 0 : 1;
}

}  // namespace kappa::cli

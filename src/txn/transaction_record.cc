#include "txn/transaction_record.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/format_version.h"

namespace kappa::txn {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kTransactionalId = 1;  // the one kind of key

Error Damaged(std::string_view what) { return Error(sqlstate::kDataCorrupted, fmt::format("{} of the log of transactions cannot be decoded", what)); }

Error Newer(std::string_view what, int found) { return NewerFormat(fmt::format("{} of the log of transactions", what), found, kVersion); }

void Put(ByteWriter& out, const ProducerIdentity& producer) {
  out.Little(producer.id);
  out.Little(producer.epoch);
}

ProducerIdentity GetProducer(ByteReader& in) {
  const auto id = in.Little<int64_t>();
  return {id, in.Little<int16_t>()};
}

}  // namespace

std::string EncodeKey(std::string_view id) {
  ByteWriter out;
  out.Little(kTransactionalId);
  out.Prefixed(id);
  return out.Take();
}

Result<std::string> DecodeKey(std::string_view bytes) {
  ByteReader in(bytes);
  const auto kind = in.Little<uint8_t>();
  if (in.ok() && kind != kTransactionalId) return Newer("a key", kind);
  std::string id(in.Prefixed());
  if (!in.AtEnd()) return Damaged("a key");
  return id;
}

std::string EncodeTransaction(const Transaction& transaction) {
  ByteWriter out;
  out.Little(kVersion);
  Put(out, transaction.producer);
  Put(out, transaction.previous);
  out.Little(transaction.next_producer_id);
  out.Little(transaction.timeout_ms);
  out.Little(transaction.state);
  out.Little(transaction.started_ms);
  out.Little(transaction.updated_ms);
  out.Varint(transaction.partitions.size());
  for (const auto& [place, begun] : transaction.partitions) {
    out.Prefixed(place.topic);
    out.Varint(static_cast<uint64_t>(place.partition));
  }
  out.Varint(transaction.groups.size());
  for (const auto& [group, begun] : transaction.groups) out.Prefixed(group);
  return out.Take();
}

Result<Transaction> DecodeTransaction(std::string_view bytes) {
  ByteReader in(bytes);
  const auto version = in.Little<uint8_t>();
  if (in.ok() && version > kVersion) return Newer("a transaction", version);
  Transaction transaction;
  transaction.producer = GetProducer(in);
  transaction.previous = GetProducer(in);
  transaction.next_producer_id = in.Little<int64_t>();
  transaction.timeout_ms = in.Little<int32_t>();
  transaction.state = in.Little<TransactionState>();
  transaction.started_ms = in.Little<int64_t>();
  transaction.updated_ms = in.Little<int64_t>();
  for (uint64_t left = in.Varint(); in.ok() && left > 0; --left) {
    std::string topic(in.Prefixed());
    transaction.partitions.emplace(TopicPartition{std::move(topic), static_cast<int32_t>(in.Varint())}, false);
  }
  for (uint64_t left = in.Varint(); in.ok() && left > 0; --left) transaction.groups.emplace(in.Prefixed(), false);
  if (!in.AtEnd() || transaction.state > TransactionState::kCompleteAbort) return Damaged("a transaction");
  return transaction;
}

}  // namespace kappa::txn

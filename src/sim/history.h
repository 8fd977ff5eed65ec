// What clients were told, and whether the log agrees: the model against which every simulated run is checked.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "log/log.h"

namespace kappa::sim {

/// The number that the one partition of the compacted topic has here.
inline constexpr int32_t kCompactedPartition = 1000;
/// The number of the first partition of the transactional topic.
inline constexpr int32_t kTransactionalPartition = 2000;

/// A promise was broken; the text says which.
struct Violation {
  std::string text;
};

inline void Require(bool holds, const std::string& text) {
  if (!holds) throw Violation{text};
}

/// The batches of one idempotent producer, in order.
struct ProducerHistory {
  struct Batch {
    int32_t first_sequence = 0;
    std::vector<std::string> keys;    // of a compacted topic, else none
    std::vector<std::string> values;  // "": a record without value, which deletes its key
    log::Offset told_offset = -1;  // set when the server acknowledged it, whether or not the client heard of it
  };
  std::string name;
  int32_t partition = 0;
  std::vector<Batch> batches;
  size_t acknowledged = 0;  // of the first so many batches the client heard
  size_t sent = 0;          // no more than these can be in the log
};

/// Commits for one partition that the coordinator took, in its order, and how far anybody was told of them.
struct CommitHistory {
  std::vector<log::Offset> accepted;
  size_t told = 0;
};

/// One transaction of a producer. Readers may see its records, and the offset that it commits for a group, only once it was asked to commit; who was
/// told that it has committed must find them; and they see all of them or none.
struct TransactionHistory {
  struct Value {
    std::string text;
    int32_t partition;
    log::Offset told_offset = -1;
  };
  std::string name;
  std::vector<Value> values;
  log::Offset group_offset = -1;  // that it commits for a group; -1: none
  bool commit_asked = false;
  bool committed = false;  // the server told so
  bool seen = false;       // by a reader of committed records or offsets
};

/// Throws Violation from everything but the notes.
class History {
 public:
  ProducerHistory& AddProducer(int32_t partition);
  void NoteAcknowledged(ProducerHistory::Batch& batch, log::Offset offset);
  /// The greatest offset below which all that was ever sent is told: what lies there may be deleted.
  log::Offset SettledBelow(int32_t partition) const;
  /// Ids are given once.
  void NoteProducerId(int64_t id);
  /// A reader was shown these records and the end behind them.
  void NoteRead(int32_t partition, log::Offset high_watermark, const std::vector<std::pair<log::Offset, std::string>>& records);
  /// No record below was ever promised to stay.
  log::Offset DeletedBelow(int32_t partition) { return partitions_[partition].deleted_asked; }
  void NoteDeleted(int32_t partition, log::Offset before, bool told);
  TransactionHistory& AddTransaction(const std::string& id);
  /// The next record of the transaction.
  std::string NewValue(TransactionHistory& transaction, int32_t partition);
  void NoteAppended(TransactionHistory& transaction, const std::vector<std::string>& values, log::Offset offset);
  /// The offset that the transaction is to commit for a partition of its producer's own: greater than all before.
  log::Offset NewOffset(TransactionHistory& transaction, int32_t partition);
  /// Whoever asks from now on must be given this offset at least (-1: perhaps none), or be told that a transaction changes it.
  log::Offset OffsetToBeSeen(int32_t partition) const;
  /// The group has this offset (-1: none); `changing`: a transaction that is not over has another.
  void NoteGroupOffset(int32_t partition, log::Offset at_least, log::Offset offset, bool changing);
  /// A reader of committed records was given this.
  void NoteCommitted(int32_t partition, log::Offset from, const log::ReadResult& read);
  /// All that readers of committed records see, after a restart. `all_ended`: no transaction is open any more.
  void CheckTransactions(log::Topic& topic, bool all_ended);
  CommitHistory& commits(int32_t partition) { return commits_[partition]; }
  /// A commit with this place in `accepted` can no longer be undone, for somebody knows of it.
  void NoteToldCommit(int32_t partition, size_t index);

  /// All that the log holds, after a restart: gapless, nothing that was promised missing, nothing twice, nothing else.
  void CheckLog(log::Topic& topic) const;
  /// Of each key of the compacted topic the last acknowledged record is there, or one that was sent behind it; and nothing that nobody sent.
  void CheckCompacted(const log::Partition& log) const;
  /// What the coordinator says after a restart. -1: no commit.
  void CheckCommit(int32_t partition, log::Offset committed);

  /// Whether every batch that was begun is acknowledged.
  bool AllAcknowledged() const;
  size_t acknowledged() const;
  /// How many transactions were told to have committed.
  size_t committed() const;
  uint64_t Digest() const;

 private:
  struct Partition {
    std::map<log::Offset, std::string> seen;  // what any reader was shown
    log::Offset high_watermark = 0;
    log::Offset deleted_told = 0;   // deletion below was acknowledged
    log::Offset deleted_asked = 0;  // nothing from here on was ever to be deleted
  };
  void CheckPartition(log::Partition& partition) const;
  std::vector<std::pair<log::Offset, TransactionHistory*>> CommittedIn(const log::ReadResult& read, log::Offset from,
                                                                       std::vector<std::string>& values);

  std::map<int32_t, std::vector<std::unique_ptr<ProducerHistory>>> producers_;  // by partition
  std::map<int32_t, Partition> partitions_;
  std::map<int32_t, CommitHistory> commits_;
  std::map<int64_t, bool> producer_ids_;
  std::vector<std::unique_ptr<TransactionHistory>> transactions_;
  std::map<std::string, std::pair<TransactionHistory*, size_t>> transactional_values_;  // whose they are, and which of its values
  std::map<int32_t, std::vector<TransactionHistory*>> group_offsets_;  // by partition and offset: whose it is
  std::map<int32_t, log::Offset> stable_told_;  // how far readers of committed records were told that they may read
};

/// Offset, key and value of each record of whole batches, from `from` on, whatever offsets are missing.
std::vector<std::tuple<log::Offset, std::string, std::string>> KeyedRecordsOf(std::string_view batches, log::Offset from);
/// The offset behind whole batches.
log::Offset EndOf(std::string_view batches);
/// The records of whole batches, decompressed, from `from` on; throws Violation when they are not gapless.
std::vector<std::pair<log::Offset, std::string>> RecordsOf(std::string_view batches, log::Offset from);

}  // namespace kappa::sim

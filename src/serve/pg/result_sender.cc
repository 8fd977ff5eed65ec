#include "serve/pg/result_sender.h"

namespace kappa::serve::pg {

bool RowCursor::AtEnd(const engine::QueryResult& result) const {
  for (size_t i = batch; i < result.batches.size(); ++i) {
    if ((i == batch ? row : 0) < result.batches[i].rows) return false;
  }
  return true;
}

bool ResultSender::Flush() {
  std::string& bytes = messages_.bytes();
  if (connected_ && !bytes.empty()) connected_ = socket_.Write(bytes, stall_timeout_us_);
  if (bytes.capacity() > 4 * kFlushBytes) std::string().swap(bytes);
  bytes.clear();
  return connected_;
}

void ResultSender::SendNotices(const engine::QueryResult& result) {
  for (const std::string& notice : result.notices) messages_.ErrorOrNotice(Severity::kNotice, Error("00000", notice));
}

Result<int64_t> ResultSender::SendRows(const engine::QueryResult& result, RowCursor& cursor, int64_t rows_max, std::span<const int16_t> formats,
                                       const data::TextOptions& text, const Client& client) {
  int64_t sent = 0;
  for (; cursor.batch < result.batches.size(); ++cursor.batch, cursor.row = 0) {
    const data::Batch& batch = result.batches[cursor.batch];
    for (; cursor.row < batch.rows; ++cursor.row) {
      if (rows_max > 0 && sent == rows_max) return sent;
      if (client.cancelled.load(std::memory_order_relaxed)) { return Error(sqlstate::kQueryCanceled, "canceling statement due to user request"); }
      if (!messages_.DataRow(batch, cursor.row, formats, text)) { return Error(sqlstate::kProgramLimitExceeded, "row is too large for one message"); }
      ++sent;
      if (!FlushIfLarge()) return sent;
    }
  }
  return sent;
}

}  // namespace kappa::serve::pg

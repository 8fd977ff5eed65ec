#include "log/compacted_segment.h"

#include <algorithm>

#include "io/folder.h"

namespace kappa::log {
namespace {
constexpr size_t kBufferBytes = 1 << 20;
}  // namespace

Result<std::unique_ptr<CompactedSegmentWriter>> CompactedSegmentWriter::Create(Place place) {
  std::string path = place.folder + "/" + SegmentFileName(place.base, ".seg");
  const std::string temporary = path + ".tmp";
  if (io::Exists(temporary)) KAPPA_RETURN_IF_ERROR(io::DurableUnlink(temporary));  // of a pass that gave up
  KAPPA_ASSIGN_OR_RETURN(io::File file, io::File::Open(temporary, io::File::Mode::kCreate));
  return std::unique_ptr<CompactedSegmentWriter>(new CompactedSegmentWriter(std::move(place), std::move(path), std::move(file)));
}

void CompactedSegmentWriter::Discard() {
  file_.Close();
  [[maybe_unused]] Status removed = io::DurableUnlink(temporary_);
}

Status CompactedSegmentWriter::Add(const BatchHeader& header, std::string_view batch) {
  KAPPA_CHECK(header.base_offset >= end_);
  KAPPA_RETURN_IF_ERROR(FillTo(header.base_offset));
  return Put(header, batch);
}

Status CompactedSegmentWriter::FillTo(Offset offset) {
  while (end_ < offset) {
    const std::string empty = EmptyBatch(end_, std::min<Offset>(offset, end_ + INT32_MAX));
    KAPPA_RETURN_IF_ERROR(Put(*ParseBatchHeader(empty), empty));
  }
  return {};
}

Status CompactedSegmentWriter::Put(const BatchHeader& header, std::string_view batch) {
  if (IndexWants(position_, index_.empty() ? kSegmentHeaderBytes : index_.back().position)) {
    index_.push_back({header.base_offset, position_, max_timestamp_});
  }
  max_timestamp_ = std::max(max_timestamp_, header.max_timestamp);
  buffer_ += batch;
  position_ += batch.size();
  end_ = header.last_offset() + 1;
  return buffer_.size() < kBufferBytes ? Status() : Flush();
}

Status CompactedSegmentWriter::Flush() {
  KAPPA_RETURN_IF_ERROR(file_.WriteAt(position_ - buffer_.size(), buffer_));
  buffer_.clear();
  return {};
}

Result<std::shared_ptr<Segment>> CompactedSegmentWriter::Finish(Offset end, int64_t last_append_ms, Offset log_start) {
  KAPPA_CHECK(end > place_.base && end_ <= end);
  KAPPA_RETURN_IF_ERROR(FillTo(end));
  KAPPA_RETURN_IF_ERROR(Flush());
  SegmentMark mark{};
  mark.durable_end = end;
  mark.durable_bytes = position_;
  mark.max_timestamp = max_timestamp_;
  mark.last_append_ms = last_append_ms;
  mark.log_start_offset = std::min(log_start, end);
  mark.sealed = 1;
  std::string start = EncodeSegmentStart(place_.topic, place_.partition, place_.base, mark.log_start_offset, place_.clean_end);
  start.replace(kPageBytes, sizeof mark, EncodeMark(mark));
  KAPPA_RETURN_IF_ERROR(file_.WriteAt(0, start));
  KAPPA_RETURN_IF_ERROR(file_.Sync("file_sync"));
  return Segment::OfCompaction(path_, place_.base, place_.clean_end, mark, std::move(file_), std::move(index_));
}

}  // namespace kappa::log

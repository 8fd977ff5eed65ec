// Numeric columns written as views directly: results of ten bytes lie inside the view, longer ones in heaps.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "data/column.h"
#include "data/numeric_bytes.h"

namespace kappa::expr {

/// A numeric whose coefficient fits into 64 bits.
inline data::StringView NarrowNumeric(int64_t coefficient, int scale) {
  char bytes[10];
  const auto head = static_cast<uint16_t>(scale);
  std::memcpy(bytes, &head, sizeof head);
  std::memcpy(bytes + 2, &coefficient, sizeof coefficient);
  return data::StringView(bytes, sizeof bytes);
}

/// Keeps the bytes of long values for one column.
class ViewHeap {
 public:
  data::StringView Store(std::string_view bytes) {
    if (bytes.size() <= data::StringView::kInlineMax) return data::StringView(bytes);
    if (heaps_.empty() || heaps_.back()->capacity() - heaps_.back()->size() < bytes.size()) {
      heaps_.push_back(std::make_shared<std::string>());
      heaps_.back()->reserve(std::max(kChunk, bytes.size()));
    }
    std::string& heap = *heaps_.back();
    const size_t at = heap.size();
    heap.append(bytes);
    return data::StringView(heap.data() + at, bytes.size());
  }
  void KeepAlive(data::Column& column) const {
    for (const auto& heap : heaps_) column.AddKeepalive(heap);
  }

 private:
  static constexpr size_t kChunk = 1 << 14;
  std::vector<std::shared_ptr<std::string>> heaps_;
};

}  // namespace kappa::expr

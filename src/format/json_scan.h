// The structure of JSON records: splits the top-level members of objects into tokens, one per declared column.
//
// simdjson's first stage finds every structural character of a window of records (about 64 KiB) in one pass and
// validates UTF-8 and control characters; this scanner walks those positions once per record and checks the whole
// grammar, also of members that nobody asked for. Records that are spelled as those before take a shorter way (json_shape.h).
// Values are converted later, column by column (json_values.h).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kappa::format {

/// A member's value as it lies in the record.
struct JsonToken {
  enum Kind : uint8_t {
    kMissing,  // no such member
    kNull,
    kFalse,
    kTrue,
    kInteger,  // digits only, with an optional minus
    kNumber,   // with fraction or exponent
    kString,   // without a backslash; the bytes between the quotes
    kEscaped,  // with backslashes (valid escapes), still escaped; the bytes between the quotes
    kArray,
    kObject,
  };
  const char* data = nullptr;
  uint32_t size = 0;
  Kind kind = kMissing;

  std::string_view text() const { return {data, size}; }
};

/// Deepest nesting of objects and arrays; the record itself is depth 1.
inline constexpr int kJsonDepthMax = 1024;

/// Walks windows of records. Threads: one scanner per thread.
class JsonScanner {
 public:
  /// `names`: the declared columns. Every record gives one token per name.
  explicit JsonScanner(std::vector<std::string> names);
  ~JsonScanner();

  /// What one call of Scan did.
  struct Window {
    size_t records = 0;  // records consumed from the front of `values`, good ones and at most one bad one
    size_t good = 0;     // the first so many are good
    bool bad = false;    // the last consumed one is bad: JsonDiagnosis says why
  };
  /// Scans records from the front of `values`, at least one. Record r's token for name c is at tokens(c)[r].
  Window Scan(std::span<const std::string_view> values);
  const JsonToken* tokens(size_t name) const;
  /// Windows hold at most so many records.
  static constexpr size_t kWindowRecords = 1024;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kappa::format

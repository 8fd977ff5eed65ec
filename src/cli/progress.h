// Progress: one line on a terminal that says how far, how fast and how long still. Silent when stderr is no terminal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace kappa::cli {

/// "1 234 567" digits in groups; "12.3 MB"; "1:02:03", "4:05" or "0.8 s".
std::string HumanCount(uint64_t count);
/// "1 record", "2,000 records".
std::string Counted(uint64_t count, std::string_view noun);
std::string HumanBytes(uint64_t bytes);
std::string HumanSeconds(double seconds);

class Progress {
 public:
  /// `unit`: "records".
  Progress(std::string label, std::string unit);
  ~Progress() { Clear(); }
  /// Removes the line.
  void Clear();

  /// Redraws, at most ten times a second. `fraction` (0 to 1): how much is done, when that can be known.
  void Update(uint64_t count, uint64_t bytes, std::optional<double> fraction);
  double seconds() const;

 private:
  const std::string label_, unit_;
  const int64_t start_us_;
  const bool shown_;
  int64_t drawn_us_ = 0;
  bool drawn_ = false;
};

}  // namespace kappa::cli

// NULLs of kernels' results.
#include "expr/kernel.h"

namespace kappa::expr {

void FinishNulls(const KernelCall& call, data::Column& out) {
  std::vector<uint64_t> words;
  for (const Argument& argument : call.arguments) {
    if (argument.constant || !argument.column->has_nulls()) continue;
    std::span<const uint64_t> validity = argument.column->validity();
    if (words.empty()) {
      words.assign(validity.begin(), validity.end());
    } else {
      for (size_t i = 0; i < words.size(); ++i) words[i] &= validity[i];
    }
  }
  if (words.empty()) return;
  for (size_t i = 0; i < out.validity().size(); ++i) words[i] &= out.validity()[i];
  out.SetValidity(std::move(words));
}

}  // namespace kappa::expr

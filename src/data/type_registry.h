// Definitions of types that a catalog names, by the number that values' types carry. One for the process and each kind of type.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

namespace kappa::data {

/// Thread-safe. What it holds is never removed: others keep pointers.
template <typename Definition> class TypeRegistry {
 public:
  static TypeRegistry& Instance() {
    static auto* const registry = new TypeRegistry;
    return *registry;
  }
  /// `id` stands for the definition's contents: a known one is the same.
  void Add(int32_t id, const Definition& definition) {
    std::lock_guard lock(mutex_);
    std::unique_ptr<const Definition>& entry = types_[id];
    if (!entry) entry = std::make_unique<const Definition>(definition);
  }
  /// Null when it is not known.
  const Definition* Find(int32_t id) {
    std::lock_guard lock(mutex_);
    const auto found = types_.find(id);
    return found == types_.end() ? nullptr : found->second.get();
  }
  /// The first id for which `matches(id, definition)`; -1 for none.
  template <typename Matches> int32_t FindId(const Matches& matches) {
    std::lock_guard lock(mutex_);
    for (const auto& [id, definition] : types_)
      if (matches(id, *definition)) return id;
    return -1;
  }

 private:
  std::mutex mutex_;
  std::map<int32_t, std::unique_ptr<const Definition>> types_;
};

}  // namespace kappa::data

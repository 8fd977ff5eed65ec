// Sets against a model: words that collide, the word of a free slot, growing over pages.
#include "state/integer_set.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace kappa::state {
namespace {

TEST(IntegerSets, AgreeWithAModel) {
  Arena arena;
  IntegerSets sets(arena);
  IntegerSetHead heads[3] = {};
  std::set<uint64_t> models[3];
  std::mt19937_64 random(7);
  for (int i = 0; i < 60'000; ++i) {
    const size_t at = random() % 3;
    // Words that repeat, words that collide in their low or high bits, and the one that marks a free slot.
    const uint64_t small = random() % 5000;
    const uint64_t word = i % 3 == 0 ? small : i % 3 == 1 ? small << 50 : ~small;
    ASSERT_EQ(sets.Contains(heads[at], word), models[at].contains(word)) << i;
    if (models[at].insert(word).second) sets.Add(heads[at], word);
    ASSERT_TRUE(sets.Contains(heads[at], word));
    ASSERT_EQ(heads[at].taken + heads[at].has_zero, models[at].size());
  }
  for (size_t at = 0; at < 3; ++at) {
    EXPECT_GT(heads[at].slot_bits, 11) << "slots of several pages";
    for (uint64_t word : models[at]) EXPECT_TRUE(sets.Contains(heads[at], word));
  }
}

TEST(IntegerSets, AnEmptySetHasNothing) {
  Arena arena;
  const IntegerSets sets(arena);
  const IntegerSetHead head = {};
  sets.Prefetch(head, 1);
  EXPECT_FALSE(sets.Contains(head, 0));
  EXPECT_FALSE(sets.Contains(head, 1));
}

}  // namespace
}  // namespace kappa::state

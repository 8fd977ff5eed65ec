// Sets against a model: words that collide, the word of a free slot, growing over pages.
#include "state/integer_set.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace kappa::state {
namespace {

template <typename Slot> class IntegerSetsTest : public testing::Test {
 protected:
  /// Adds a word; `written` tells whether the head was asked for.
  bool Add(IntegerSetHead& head, Slot word, bool& written) {
    written = false;
    return sets_.Add(head, word, IntegerSets<Slot>::Hash(word), [&]() -> IntegerSetHead& {
      written = true;
      return head;
    });
  }

  Arena arena_;
  IntegerSets<Slot> sets_{arena_};
};
using Slots = testing::Types<uint32_t, uint64_t>;
TYPED_TEST_SUITE(IntegerSetsTest, Slots);

TYPED_TEST(IntegerSetsTest, AgreeWithAModel) {
  constexpr int kHighShift = sizeof(TypeParam) * 8 - 14;
  IntegerSetHead heads[3] = {};
  std::set<TypeParam> models[3];
  std::mt19937_64 random(7);
  for (int i = 0; i < 90'000; ++i) {
    const size_t at = random() % 3;
    // Words that repeat, words that collide in their low or high bits, and the one that marks a free slot.
    const auto small = static_cast<TypeParam>(random() % 8000);
    const TypeParam word = i % 3 == 0 ? small : i % 3 == 1 ? static_cast<TypeParam>(small << kHighShift) : static_cast<TypeParam>(~small);
    const bool fresh = models[at].insert(word).second;
    this->sets_.Prefetch(heads[at], IntegerSets<TypeParam>::Hash(word));
    bool written;
    ASSERT_EQ(this->Add(heads[at], word, written), fresh) << i;
    ASSERT_EQ(written, fresh) << "a set that does not change is not written";
    ASSERT_EQ(heads[at].taken + heads[at].has_zero, models[at].size());
  }
  for (size_t at = 0; at < 3; ++at) {
    EXPECT_GT(sizeof(TypeParam) << heads[at].slot_bits, 4u * kPageBytes) << "slots of several pages";
    bool written;
    for (const TypeParam word : models[at]) EXPECT_FALSE(this->Add(heads[at], word, written));
  }
}

TYPED_TEST(IntegerSetsTest, SlotsAreGivenBackAsTheSetGrows) {
  IntegerSetHead head = {};
  bool written;
  for (TypeParam word = 1; word <= 200'000; ++word) ASSERT_TRUE(this->Add(head, word, written));
  const uint64_t slots = sizeof(TypeParam) << head.slot_bits;
  EXPECT_LT(slots, 200'000 * sizeof(TypeParam) * 3) << "beyond 65,536 slots a set grows by two";
  EXPECT_LT(this->arena_.memory_bytes(), 2 * slots);
}

TYPED_TEST(IntegerSetsTest, AnEmptySetHasNothing) {
  IntegerSetHead head = {};
  bool written;
  this->sets_.Prefetch(head, 1);
  EXPECT_TRUE(this->Add(head, 0, written));
  EXPECT_EQ(head.slots, 0u);
  EXPECT_FALSE(this->Add(head, 0, written));
  EXPECT_TRUE(this->Add(head, 1, written));
}

}  // namespace
}  // namespace kappa::state

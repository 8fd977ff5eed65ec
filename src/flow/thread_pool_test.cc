// Loops and spare work on one pool.
#include "flow/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>

namespace kappa::flow {
namespace {

TEST(ThreadPoolTest, EachBodyRunsOnce) {
  for (const int threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    for (int count = 0; count < 20; ++count) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(count));
      pool.ParallelFor(count, [&](int i) { ++runs[static_cast<size_t>(i)]; });
      for (const auto& one : runs) EXPECT_EQ(one, 1);
    }
  }
}

// Pieces appear, are done and run out while loops begin and end: neither may wait for the other for ever, or be left out.
TEST(ThreadPoolTest, IdleThreadsDoSpareWorkBetweenLoops) {
  for (const int threads : {2, 3, 8}) {
    ThreadPool pool(threads);
    std::atomic<int64_t> left = 0, pieces = 0, bodies = 0;
    pool.SetSpareWork([&] {
      int64_t have = left;
      while (have > 0 && !left.compare_exchange_weak(have, have - 1)) {}
      if (have > 0) ++pieces;
      else std::this_thread::yield();  // loops end while somebody finds that there is nothing
      return have > 0;
    });
    constexpr int kRounds = 20'000;
    for (int round = 0; round < kRounds; ++round) {
      left += round % 3;
      pool.WakeForSpareWork();
      pool.ParallelFor(round % 4, [&](int) {
        std::this_thread::yield();
        ++bodies;
      });
    }
    while (left > 0) std::this_thread::yield();
    pool.SetSpareWork(nullptr);
    EXPECT_EQ(bodies, kRounds / 4 * (0 + 1 + 2 + 3));
    int64_t given = 0;
    for (int round = 0; round < kRounds; ++round) given += round % 3;
    EXPECT_EQ(pieces, given);
  }
}

TEST(ThreadPoolTest, UnsetSpareWorkIsNotRunAnyMore) {
  ThreadPool pool(4);
  for (int round = 0; round < 1000; ++round) {
    auto alive = std::make_shared<std::atomic<bool>>(true);
    pool.SetSpareWork([alive = alive.get()] {
      EXPECT_TRUE(*alive);
      return true;
    });
    pool.ParallelFor(4, [](int) {});
    pool.SetSpareWork(nullptr);
    *alive = false;
  }
}

}  // namespace
}  // namespace kappa::flow

#include "sim/core/parallel.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace moesim {
namespace {

TEST(ForAll, DoesEachJobOnceOnAnyNumberOfThreads) {
  for (const size_t threads : {size_t{0}, size_t{1}, size_t{3}, size_t{200}}) {
    std::vector<int> done(100, 0);
    for_all(done.size(), threads, [&](size_t i) { ++done[i]; });
    EXPECT_EQ(done, std::vector<int>(100, 1)) << threads;
  }
}

// Whichever thread fails first, the answer is the same.
TEST(ForAll, RethrowsTheFailureOfTheLowestIndexAfterAllHaveRun) {
  for (const size_t threads : {size_t{1}, size_t{4}}) {
    std::vector<int> done(50, 0);
    try {
      for_all(done.size(), threads, [&](size_t i) {
        done[i] = 1;
        if (i == 7 || i == 31) throw std::runtime_error(std::to_string(i));
      });
      FAIL();
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "7");
    }
    EXPECT_EQ(done, std::vector<int>(50, 1)) << threads;
  }
}

}  // namespace
}  // namespace moesim

// Goal: the bulk timestamp parser agrees with the general one, the calendar with itself, and zones with their gaps.
// Method: sweeps over days and over mutated texts; known transitions.
#include "data/datetime.h"

#include <gtest/gtest.h>

#include <random>

namespace kappa::data {
namespace {

TEST(CalendarTest, EveryDayOfManyCenturies) {
  CivilDate last = CivilFromDays(kFirstDay - 1);
  for (int64_t days = kFirstDay; days < 1'500'000; ++days) {
    CivilDate date = CivilFromDays(days);
    ASSERT_EQ(DaysFromCivil(date), days);
    bool next_day = date.year == last.year && date.month == last.month && date.day == last.day + 1;
    bool next_month = date.day == 1 && last.day == DaysInMonth(last.year, last.month);
    ASSERT_TRUE(next_day || next_month) << days;
    last = date;
  }
}

TEST(IsoTimestampTest, AgreesWithTheGeneralParser) {
  const std::string seeds[] = {"2011-03-02T17:37:17+00:00", "2024-02-29 23:59:59.123456Z", "0001-01-01T00:00:00-15:59", "9999-12-31t24:00:00.1+0530"};
  const std::string alphabet = "0123456789-+:. TZtz";
  std::mt19937 random(7);
  int accepted = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string text = seeds[random() % 4];
    for (uint32_t i = random() % 4; i > 0; --i) text[random() % text.size()] = alphabet[random() % alphabet.size()];
    if (random() % 8 == 0) text.resize(random() % (text.size() + 1));
    int64_t micros;
    if (!ParseIsoTimestamp(text, &micros)) continue;
    ++accepted;
    Result<int64_t> general = ParseTimestamptz(text, TimeZone());
    ASSERT_TRUE(general.ok()) << text;
    ASSERT_EQ(*general, micros) << text;
  }
  EXPECT_GT(accepted, 10'000);
}

TEST(IsoTimestampTest, RefusesWhatIsNoDate) {
  int64_t micros;
  for (const char* text : {"2024-02-30T00:00:00", "2023-02-29T00:00:00Z", "2024-13-01T00:00:00", "2024-01-01T24:00:00", "2024-01-01T00:00:60",
                           "0000-01-01T00:00:00", "2024-01-01T00:00:00.", "2024-01-01T00:00:00.1234567", "2024-01-01T00:00:00+16:00",
                           "2024-01-01T00:00:00+1", "2024-01-01", "", "2024/01/01T00:00:00", "2024-01-0:T00:00:00", "2024-01-01T00:00:00Zx"}) {
    EXPECT_FALSE(ParseIsoTimestamp(text, &micros)) << text;
  }
}

TEST(TimeZoneTest, GapsAndRepeatedHours) {
  TimeZone zone = *TimeZone::Load("America/New_York");
  auto shown = [&](const char* local) {
    std::string out;
    AppendTimestamptz(*ParseTimestamptz(local, zone), zone, out);
    return out;
  };
  EXPECT_EQ(shown("2024-03-10 02:30"), "2024-03-10 03:30:00-04");   // skipped: read with the offset before
  EXPECT_EQ(shown("2024-11-03 01:30"), "2024-11-03 01:30:00-05");   // came twice: the second
  EXPECT_EQ(shown("2024-11-03 00:30"), "2024-11-03 00:30:00-04");
  EXPECT_FALSE(TimeZone::Load("Nowhere/Land").ok());
  EXPECT_FALSE(TimeZone::Load("/etc/localtime").ok());
  EXPECT_FALSE(TimeZone::Load("../../etc/passwd").ok());
}

TEST(TimestampTest, TheEndsOfTime) {
  std::string out;
  AppendTimestamp(kTimestampInfinity - 1, out);
  EXPECT_EQ(out, "294247-01-10 04:00:54.775806");
  EXPECT_EQ(AddInterval(kTimestampInfinity - 1, {1, 0, 0}).error().message(), "timestamp out of range");
  EXPECT_EQ(AddInterval(kFirstDay * kMicrosPerDay, {-1, 0, 0}).error().message(), "timestamp out of range");
  EXPECT_EQ(*AddInterval(kTimestampInfinity, {1, 2, 3}), kTimestampInfinity);
  out.clear();
  AppendTimestamptz(kTimestampInfinity - 1, TimeZone::Fixed(3600), out);  // must not overflow
  EXPECT_FALSE(out.empty());
}

TEST(IntervalTest, ModifierWords) {
  EXPECT_EQ(IntervalModifierText(IntervalModifierFromWords("day to second")), " day to second");
  EXPECT_EQ(*ParseInterval("5", IntervalModifierFromWords("minute")), (Interval{5 * kMicrosPerMinute, 0, 0}));
  EXPECT_EQ(IntervalModifierFromWords("fortnight"), -1);
}

}  // namespace
}  // namespace kappa::data

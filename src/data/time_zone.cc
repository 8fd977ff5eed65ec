// Time zones over absl's copy of the IANA rules on this machine.
#include "data/time_zone.h"

#include <absl/time/time.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "data/calendar.h"

namespace kappa::data {

struct TimeZone::Rules {
  absl::TimeZone zone;
};

namespace {

constexpr int kOffsetSecondsMax = 16 * 3600 - 1;  // as PostgreSQL: within 15:59:59

struct Abbreviation {
  std::string_view name;
  int minutes;
};
constexpr std::array kAbbreviations = {
    Abbreviation{"acst", 570},  Abbreviation{"adt", -180}, Abbreviation{"aest", 600}, Abbreviation{"aedt", 660}, Abbreviation{"akst", -540},
    Abbreviation{"akdt", -480}, Abbreviation{"ast", -240}, Abbreviation{"awst", 480}, Abbreviation{"bst", 60},   Abbreviation{"cdt", -300},
    Abbreviation{"cest", 120},  Abbreviation{"cet", 60},   Abbreviation{"cst", -360}, Abbreviation{"eat", 180},  Abbreviation{"edt", -240},
    Abbreviation{"eest", 180},  Abbreviation{"eet", 120},  Abbreviation{"est", -300}, Abbreviation{"gmt", 0},    Abbreviation{"hkt", 480},
    Abbreviation{"hst", -600},  Abbreviation{"ist", 120},  Abbreviation{"jst", 540},  Abbreviation{"kst", 540},  Abbreviation{"mdt", -360},
    Abbreviation{"met", 60},    Abbreviation{"msk", 180},  Abbreviation{"mst", -420}, Abbreviation{"nzdt", 780}, Abbreviation{"nzst", 720},
    Abbreviation{"pdt", -420},  Abbreviation{"pst", -480}, Abbreviation{"sast", 120}, Abbreviation{"ut", 0},     Abbreviation{"utc", 0},
    Abbreviation{"wat", 60},    Abbreviation{"west", 60},  Abbreviation{"wet", 0},    Abbreviation{"z", 0},      Abbreviation{"zulu", 0},
};

Error NotRecognized(std::string_view name) {
  return Error(sqlstate::kInvalidParameterValue, "time zone \"" + std::string(name) + "\" not recognized");
}

// "2", "02:30", "0230" or "02:30:15"; false for anything else.
bool ParseOffset(std::string_view text, int& seconds) {
  int parts[3] = {0, 0, 0};
  int count = 0;
  size_t at = 0;
  while (count < 3 && at < text.size()) {
    size_t begin = at;
    while (at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])))
      parts[count] = std::min(parts[count] * 10 + (text[at++] - '0'), 100'000);
    size_t digits = at - begin;
    if (digits == 0) return false;
    if (count == 0 && digits == 4 && at == text.size()) {
      parts[1] = parts[0] % 100;
      parts[0] /= 100;
    } else if (digits > 2) {
      return false;
    }
    ++count;
    if (at == text.size()) break;
    if (text[at++] != ':' || at == text.size()) return false;
  }
  seconds = parts[0] * 3600 + parts[1] * 60 + parts[2];
  return count > 0 && at == text.size() && parts[1] < 60 && parts[2] < 60 && seconds <= kOffsetSecondsMax;
}

bool LoadRules(const std::string& name, absl::TimeZone& zone) {
  // Never a path of the file system.
  if (name.empty() || name.front() == '/' || name.find("..") != std::string::npos || name.find(':') != std::string::npos) return false;
  return absl::LoadTimeZone(name, &zone);
}

// "europe/berlin" -> "Europe/Berlin", "america/port-au-prince" stays wrong and is not found.
std::string Titled(std::string_view name) {
  std::string out(name);
  bool first = true;
  for (char& c : out) {
    c = static_cast<char>(first ? std::toupper(static_cast<unsigned char>(c)) : std::tolower(static_cast<unsigned char>(c)));
    first = c == '/' || c == '_' || c == '-';
  }
  return out;
}

}  // namespace

bool ZoneAbbreviationOffset(std::string_view lower, int& offset_seconds) {
  auto found = std::lower_bound(kAbbreviations.begin(), kAbbreviations.end(), lower,
                                [](const Abbreviation& a, std::string_view name) { return a.name < name; });
  // The table is sorted but for neighbours of equal stem; a miss falls back to a scan.
  if (found == kAbbreviations.end() || found->name != lower) {
    found = std::find_if(kAbbreviations.begin(), kAbbreviations.end(), [&](const Abbreviation& a) { return a.name == lower; });
  }
  if (found == kAbbreviations.end()) return false;
  offset_seconds = found->minutes * 60;
  return true;
}

Result<TimeZone> TimeZone::Load(std::string_view name) {
  if (name == "UTC" || name == "utc" || name == "GMT" || name == "Etc/UTC") return TimeZone();
  if (name.empty() || name.size() > 64) return NotRecognized(name);
  int offset = 0;
  if (name.front() == '+' || name.front() == '-') {
    // As in SET TIME ZONE '+02:00' and AT TIME ZONE '-5': a POSIX string without a name, so the sign points west.
    if (!ParseOffset(name.substr(1), offset)) return NotRecognized(name);
    return Fixed(name.front() == '+' ? -offset : offset);
  }
  std::string lower(name);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (ZoneAbbreviationOffset(lower, offset)) return Fixed(offset);
  auto rules = std::make_shared<Rules>();
  if (LoadRules(std::string(name), rules->zone) || LoadRules(Titled(name), rules->zone)) {
    TimeZone zone;
    zone.rules_ = std::move(rules);
    return zone;
  }
  // POSIX: letters, then the offset west of Greenwich ("UTC-2", "EST5").
  size_t letters = 0;
  while (letters < name.size() && std::isalpha(static_cast<unsigned char>(name[letters]))) ++letters;
  std::string_view rest = name.substr(letters);
  if (letters >= 3 && !rest.empty()) {
    bool minus = rest.front() == '-';
    if (minus || rest.front() == '+') rest.remove_prefix(1);
    if (ParseOffset(rest, offset)) return Fixed(minus ? offset : -offset);
  }
  return NotRecognized(name);
}

int TimeZone::RulesOffset(int64_t utc_micros) const { return rules_->zone.At(absl::FromUnixMicros(utc_micros)).offset; }

int64_t TimeZone::ToUtc(int64_t local_micros) const {
  if (!rules_) return local_micros - int64_t{fixed_offset_} * kMicrosPerSecond;
  int64_t seconds = FloorDiv(local_micros, kMicrosPerSecond);
  absl::CivilSecond civil = absl::CivilSecond(1970, 1, 1, 0, 0, 0) + seconds;
  absl::TimeZone::TimeInfo info = rules_->zone.At(civil);
  absl::Time moment = info.kind == absl::TimeZone::TimeInfo::REPEATED ? info.post : info.pre;
  return absl::ToUnixSeconds(moment) * kMicrosPerSecond + (local_micros - seconds * kMicrosPerSecond);
}

}  // namespace kappa::data

// Nexmark: every event is a function of its number. Each draws from a generator of its own in a fixed order: the order of the
// draws below is part of the model.
#include "connect/nexmark.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include "base/int128.h"
#include "connect/byte_stream.h"
#include "io/folder.h"

namespace kappa::connect {
namespace {

constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;
constexpr int64_t kGroup = 50;  // events in which every kind has its share
constexpr int64_t kAuctionsPerGroup = 3;
constexpr int64_t kFirstId = 1000;
constexpr int64_t kHotEvery = 100;         // one in so many auctions, sellers and bidders is hot
constexpr int64_t kAuctionsInFlight = 100;
constexpr int64_t kActivePeople = 1000;
constexpr int64_t kNotYetSeen = 10;        // ids ahead of the newest that may be named
constexpr int64_t kBaseMs = 1'437'004'200'000;
constexpr int kChannels = 10'000;
constexpr size_t kLetters = 1 << 20;
constexpr int kPersonBytes = 200, kAuctionBytes = 500, kBidBytes = 100;
constexpr size_t kPieceBytes = 1 << 20;

uint64_t Mix(uint64_t z) {
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

/// splitmix64.
class Random {
 public:
  explicit Random(uint64_t state) : state_(state) {}
  uint64_t Next() { return Mix(state_ += kGolden); }
  int64_t Below(int64_t bound) { return static_cast<int64_t>(static_cast<uint128_t>(Next()) * static_cast<uint128_t>(bound) >> 64); }

 private:
  uint64_t state_;
};

/// 3 to max - 1 letters; one in 13 is `separator`. Blanks at both ends are cut off.
std::string RandomWord(Random& random, int max, char separator) {
  const int64_t length = 3 + random.Below(max - 3);
  std::string word;
  for (int64_t i = 0; i < length; ++i) {
    const uint64_t draw = random.Next();
    word += draw % 13 == 0 ? separator : static_cast<char>('a' + (draw >> 32) % 26);
  }
  const size_t begin = word.find_first_not_of(' ');
  if (begin == std::string::npos) return "";
  return word.substr(begin, word.find_last_not_of(' ') - begin + 1);
}

std::string RandomUrl(Random& random) {
  std::string url = "https://www.nexmark.com/";
  for (int i = 0; i < 3; ++i) url += RandomWord(random, 5, '_') + "/";
  return url + "item.htm?query=1";
}

/// 100 * 10^(6u) for u in [0, 1), in steps of 1/65536 with 30 fraction bits, straight lines in between.
class Prices {
 public:
  Prices() {
    constexpr uint64_t kRatio = 1'153'164'575'258'595'390;  // 10^(6/65536), 60 fraction bits
    uint64_t price = uint64_t{100} << 30;
    for (uint64_t& entry : table_) {
      entry = price;
      price = static_cast<uint64_t>((static_cast<uint128_t>(price) * kRatio + (uint64_t{1} << 59)) >> 60);
    }
  }
  int64_t Draw(Random& random) const {
    const uint64_t draw = random.Next();
    const size_t step = draw >> 48;
    const uint64_t fraction = draw >> 16 & 0xffff;
    const uint64_t price = table_[step] + static_cast<uint64_t>(static_cast<uint128_t>(table_[step + 1] - table_[step]) * fraction >> 16);
    return static_cast<int64_t>((price + (uint64_t{1} << 29)) >> 30);
  }

 private:
  std::array<uint64_t, 65537> table_;
};

struct Channel {
  std::string name, url;
};

enum class Kind : uint8_t { kPerson, kAuction, kBid };
constexpr std::array<std::string_view, 3> kKindNames = {"person", "auction", "bid"};

class Model {
 public:
  explicit Model(const NexmarkOptions& options) : options_(options), seed_(Mix(options.seed + 0x5851f42d4c957f2d)) {
    Random random(Mix(options.seed * kGolden + 0x1234567));
    letters_.resize(kLetters);
    for (char& letter : letters_) letter = static_cast<char>('a' + random.Below(26));
    for (std::string_view name : {"Google", "Facebook", "Baidu", "Apple"}) hot_.push_back({std::string(name), RandomUrl(random)});
    for (uint32_t i = 0; i < kChannels; ++i) {
      Channel channel{fmt::format("channel-{}", i), RandomUrl(random)};
      if (random.Below(10) > 0) channel.url += fmt::format("&channel_id={}", std::abs(int64_t{static_cast<int32_t>(ReverseBits(i))}));
      channels_.push_back(std::move(channel));
    }
  }

  static Kind KindOf(int64_t n) { return n % kGroup < 1 ? Kind::kPerson : n % kGroup < 1 + kAuctionsPerGroup ? Kind::kAuction : Kind::kBid; }

  /// Appends event `n` as a line.
  void Append(int64_t n, std::string& out) const {
    Random random(Mix(seed_ ^ (static_cast<uint64_t>(n) * 0xd1342543de82ef95 + 1)));
    int64_t ms = NominalMs(n);
    if (options_.out_of_order_ms > 0) ms -= random.Below(options_.out_of_order_ms + 1);
    switch (KindOf(n)) {
      case Kind::kPerson: return Person(n, ms, random, out);
      case Kind::kAuction: return Auction(n, ms, random, out);
      case Kind::kBid: return Bid(n, ms, random, out);
    }
  }

 private:
  static uint32_t ReverseBits(uint32_t value) {
    uint32_t reversed = 0;
    for (int i = 0; i < 32; ++i) reversed |= (value >> i & 1) << (31 - i);
    return reversed;
  }
  int64_t NominalMs(int64_t n) const { return kBaseMs + static_cast<int64_t>(static_cast<int128_t>(n) * 1000 / options_.rate); }

  // Ids count from 0 here; kFirstId is added when they are written.
  static int64_t LastPerson(int64_t n) { return n / kGroup; }
  static int64_t LastAuction(int64_t n) {
    const int64_t before = n / kGroup * kAuctionsPerGroup;
    return std::max<int64_t>(0, before + std::min(n % kGroup, kAuctionsPerGroup) - 1);
  }
  static int64_t SomePerson(Random& random, int64_t n) {
    const int64_t people = LastPerson(n) + 1;
    const int64_t active = std::min(people, kActivePeople);
    return people - active + random.Below(active + kNotYetSeen);
  }
  static int64_t SomeAuction(Random& random, int64_t n) {
    const int64_t last = LastAuction(n);
    const int64_t first = std::max<int64_t>(0, last - kAuctionsInFlight);
    return first + random.Below(last - first + 1 + kNotYetSeen);
  }

  /// What fills an event up to about `average` bytes, of which it has `used`.
  std::string_view Filler(Random& random, int64_t used, int64_t average) const {
    if (used > average) return {};
    const int64_t wanted = average - used, spread = wanted / 5;
    const int64_t length = wanted - spread + (spread > 0 ? random.Below(2 * spread) : 0);
    const int64_t at = random.Below(static_cast<int64_t>(kLetters) - length);
    return std::string_view(letters_).substr(static_cast<size_t>(at), static_cast<size_t>(length));
  }

  void Person(int64_t n, int64_t ms, Random& random, std::string& out) const {
    static constexpr std::array<std::string_view, 11> kFirst = {"Peter", "Paul",  "Luke",  "John",   "Saul",  "Vicky",
                                                                "Kate",  "Julie", "Sarah", "Deiter", "Walter"};
    static constexpr std::array<std::string_view, 9> kLast = {"Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"};
    static constexpr std::array<std::string_view, 10> kCities = {"Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland",
                                                                 "Bend",    "Redmond",     "Seattle",       "Kent",  "Cheyenne"};
    static constexpr std::array<std::string_view, 6> kStates = {"AZ", "CA", "ID", "OR", "WA", "WY"};
    auto pick = [&](const auto& names) { return names[static_cast<size_t>(random.Below(static_cast<int64_t>(names.size())))]; };
    const std::string_view first = pick(kFirst);
    const std::string_view last = pick(kLast);
    const std::string mailbox = RandomWord(random, 7, ' ');
    const std::string host = RandomWord(random, 5, ' ');
    std::string card;
    for (int i = 0; i < 4; ++i) card += fmt::format("{}{:04}", i == 0 ? "" : " ", random.Below(10'000));
    const std::string_view city = pick(kCities);
    const std::string_view state = pick(kStates);
    const size_t used = 8 + first.size() + 1 + last.size() + mailbox.size() + host.size() + 5 + card.size() + city.size() + state.size();
    const std::string_view extra = Filler(random, static_cast<int64_t>(used), kPersonBytes);
    fmt::format_to(std::back_inserter(out),
                   R"({{"id":{},"name":"{} {}","emailAddress":"{}@{}.com","creditCard":"{}","city":"{}","state":"{}","dateTime":{},"extra":"{}"}})"
                   "\n",
                   LastPerson(n) + kFirstId, first, last, mailbox, host, card, city, state, ms, extra);
  }

  void Auction(int64_t n, int64_t ms, Random& random, std::string& out) const {
    const int64_t seller = random.Below(4) > 0 ? LastPerson(n) / kHotEvery * kHotEvery : SomePerson(random, n);
    const int64_t category = 10 + random.Below(5);
    const int64_t initial = prices_->Draw(random);
    // It ends, on average, when kAuctionsInFlight others have begun.
    const int64_t horizon = NominalMs(n + kAuctionsInFlight * kGroup / kAuctionsPerGroup) - NominalMs(n);
    const int64_t expires = ms + 1 + random.Below(horizon > 0 ? 2 * horizon : 1);
    const std::string item = RandomWord(random, 20, ' ');
    const std::string description = RandomWord(random, 100, ' ');
    const int64_t reserve = initial + prices_->Draw(random);
    const std::string_view extra = Filler(random, static_cast<int64_t>(48 + item.size() + description.size()), kAuctionBytes);
    fmt::format_to(
        std::back_inserter(out),
        R"({{"id":{},"itemName":"{}","description":"{}","initialBid":{},"reserve":{},"dateTime":{},"expires":{},"seller":{},"category":{},"extra":"{}"}})"
        "\n",
        LastAuction(n) + kFirstId, item, description, initial, reserve, ms, expires, seller + kFirstId, category, extra);
  }

  void Bid(int64_t n, int64_t ms, Random& random, std::string& out) const {
    const int64_t auction = random.Below(2) > 0 ? LastAuction(n) / kHotEvery * kHotEvery : SomeAuction(random, n);
    const int64_t bidder = random.Below(4) > 0 ? LastPerson(n) / kHotEvery * kHotEvery + 1 : SomePerson(random, n);
    const int64_t price = prices_->Draw(random);
    const bool hot = random.Below(2) > 0;
    const Channel& channel = hot ? hot_[static_cast<size_t>(random.Below(4))] : channels_[static_cast<size_t>(random.Below(kChannels))];
    const std::string_view extra = Filler(random, 32, kBidBytes);
    fmt::format_to(std::back_inserter(out),
                   R"({{"auction":{},"bidder":{},"price":{},"channel":"{}","url":"{}","dateTime":{},"extra":"{}"}})"
                   "\n",
                   auction + kFirstId, bidder + kFirstId, price, channel.name, channel.url, ms, extra);
  }

  NexmarkOptions options_;
  uint64_t seed_;
  std::string letters_;
  std::vector<Channel> hot_, channels_;
  std::unique_ptr<const Prices> prices_ = std::make_unique<Prices>();
};

}  // namespace

Status GenerateNexmark(const std::string& folder, const NexmarkOptions& options, const std::function<void(int64_t)>& progress) {
  constexpr int64_t kEventsMax = int64_t{1} << 40;
  if (options.events < 0 || options.events > kEventsMax || options.first_event < 0 || options.first_event > kEventsMax || options.rate < 1 ||
      options.out_of_order_ms < 0 || options.out_of_order_ms > kBaseMs || options.parts < 1 || options.parts > 1024 || options.side_rows < 0) {
    return Error(sqlstate::kInvalidParameterValue, "options of the Nexmark generator are out of range");
  }
  KAPPA_RETURN_IF_ERROR(io::CreateFolders(folder));
  struct File {
    std::unique_ptr<ByteSink> sink;
    std::string piece;
  };
  std::vector<File> files;  // by kind, then by part
  for (std::string_view kind : kKindNames) {
    for (int part = 0; part < options.parts; ++part) {
      const std::string path = options.parts == 1 ? fmt::format("{}/{}.jsonl", folder, kind) : fmt::format("{}/{}-{}.jsonl", folder, kind, part);
      KAPPA_ASSIGN_OR_RETURN(std::unique_ptr<ByteSink> sink, OpenByteSink(path, Compression::kNone));
      files.push_back({std::move(sink), ""});
    }
  }
  const Model model(options);
  for (int64_t n = options.first_event; n < options.first_event + options.events; ++n) {
    File& file = files[static_cast<size_t>(Model::KindOf(n)) * static_cast<size_t>(options.parts) + static_cast<size_t>(n / kGroup % options.parts)];
    model.Append(n, file.piece);
    if (file.piece.size() < kPieceBytes) continue;
    KAPPA_RETURN_IF_ERROR(file.sink->Write(file.piece));
    file.piece.clear();
    if (progress) progress(n - options.first_event);
  }
  for (File& file : files) {
    KAPPA_RETURN_IF_ERROR(file.sink->Write(file.piece));
    KAPPA_RETURN_IF_ERROR(file.sink->Close());
  }
  std::string side = "key,value\n";
  for (int64_t key = 0; key < options.side_rows; ++key) side += fmt::format("{},{}\n", key, key);
  KAPPA_ASSIGN_OR_RETURN(std::unique_ptr<ByteSink> sink, OpenByteSink(folder + "/side_input.csv", Compression::kNone));
  KAPPA_RETURN_IF_ERROR(sink->Write(side));
  KAPPA_RETURN_IF_ERROR(sink->Close());
  if (progress) progress(options.events);
  return {};
}

}  // namespace kappa::connect

// SHA-2 (FIPS 180-4): one algorithm over words of 32 or 64 bits.
#include "expr/functions/sha2.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "base/int128.h"

namespace kappa::expr {
namespace {

/// The constants are fractions of roots of primes: floor(2^64 * frac(p^(1/root))), by bisection in 128-bit integers.
uint64_t RootFraction(uint64_t prime, int root) {
  // x is the root times 2^64; its square, or cube, is compared with the prime, limb by limb.
  using Wide = uint128_t;
  const auto not_above = [&](Wide x) {
    std::array<uint64_t, 8> product = {static_cast<uint64_t>(x), static_cast<uint64_t>(x >> 64)};
    for (int power = 1; power < root; ++power) {
      std::array<uint64_t, 8> next{};
      for (size_t i = 0; i < 6; ++i) {
        uint64_t carry = 0;
        for (size_t k = 0; k < 2; ++k) {
          const Wide sum = Wide{product[i]} * static_cast<uint64_t>(x >> (64 * k)) + next[i + k] + carry;
          next[i + k] = static_cast<uint64_t>(sum);
          carry = static_cast<uint64_t>(sum >> 64);
        }
        next[i + 2] += carry;
      }
      product = next;
    }
    uint64_t above = 0;
    for (size_t i = static_cast<size_t>(root) + 1; i < 8; ++i) above |= product[i];
    return above == 0 && product[static_cast<size_t>(root)] < prime;
  };
  Wide x = 0;
  for (int bit = 68; bit >= 0; --bit)  // roots of primes below 2^9 are below 2^5
    if (not_above(x | Wide{1} << bit)) x |= Wide{1} << bit;
  return static_cast<uint64_t>(x);
}

std::array<uint64_t, 80> Primes() {
  std::array<uint64_t, 80> primes{};
  size_t count = 0;
  for (uint64_t candidate = 2; count < primes.size(); ++candidate) {
    bool prime = true;
    for (size_t i = 0; i < count && prime; ++i) prime = candidate % primes[i] != 0;
    if (prime) primes[count++] = candidate;
  }
  return primes;
}

struct Constants {
  std::array<uint64_t, 80> cube_roots;    // one for each round
  std::array<uint64_t, 16> square_roots;  // the first states
};
const Constants& Roots() {
  static const Constants constants = [] {
    Constants made{};
    const auto primes = Primes();
    for (size_t i = 0; i < 80; ++i) made.cube_roots[i] = RootFraction(primes[i], 3);
    for (size_t i = 0; i < 16; ++i) made.square_roots[i] = RootFraction(primes[i], 2);
    return made;
  }();
  return constants;
}

/// `Word` is uint32_t or uint64_t.
template <typename Word> class Sha2 {
 public:
  static constexpr bool kWide = sizeof(Word) == 8;
  static constexpr size_t kRounds = kWide ? 80 : 64;
  static constexpr size_t kBlock = 16 * sizeof(Word);
  using State = std::array<Word, 8>;

  static std::string Digest(State state, std::string_view bytes, size_t size) {
    size_t at = 0;
    for (; at + kBlock <= bytes.size(); at += kBlock) Transform(state, bytes.data() + at);
    char tail[2 * kBlock] = {};
    const size_t left = bytes.size() - at;
    if (left > 0) std::memcpy(tail, bytes.data() + at, left);
    tail[left] = static_cast<char>(0x80);
    const size_t blocks = left + 1 + 2 * sizeof(Word) <= kBlock ? 1 : 2;
    Store(uint64_t{bytes.size()} * 8, tail + blocks * kBlock - 8);
    for (size_t block = 0; block < blocks; ++block) Transform(state, tail + block * kBlock);
    std::string out(8 * sizeof(Word), '\0');
    for (size_t i = 0; i < 8; ++i) Store(state[i], out.data() + i * sizeof(Word));
    out.resize(size);
    return out;
  }

 private:
  template <typename T> static void Store(T value, char* to) {
    for (size_t i = 0; i < sizeof(T); ++i) to[i] = static_cast<char>(value >> (8 * (sizeof(T) - 1 - i)));
  }
  static Word Load(const char* from) {
    Word value = 0;
    for (size_t i = 0; i < sizeof(Word); ++i) value = static_cast<Word>(value << 8 | static_cast<uint8_t>(from[i]));
    return value;
  }
  static Word Mix(Word x, int a, int b, int c) { return std::rotr(x, a) ^ std::rotr(x, b) ^ std::rotr(x, c); }
  static Word Spread(Word x, int a, int b, int shift) { return std::rotr(x, a) ^ std::rotr(x, b) ^ (x >> shift); }

  static void Transform(State& state, const char* block) {
    std::array<Word, kRounds> words;
    for (size_t i = 0; i < 16; ++i) words[i] = Load(block + i * sizeof(Word));
    for (size_t i = 16; i < kRounds; ++i) {
      const Word before = kWide ? Spread(words[i - 15], 1, 8, 7) : Spread(words[i - 15], 7, 18, 3);
      const Word last = kWide ? Spread(words[i - 2], 19, 61, 6) : Spread(words[i - 2], 17, 19, 10);
      words[i] = words[i - 16] + before + words[i - 7] + last;
    }
    auto [a, b, c, d, e, f, g, h] = state;
    for (size_t i = 0; i < kRounds; ++i) {
      const Word constant = static_cast<Word>(Roots().cube_roots[i] >> (64 - 8 * sizeof(Word)));
      const Word first = h + (kWide ? Mix(e, 14, 18, 41) : Mix(e, 6, 11, 25)) + ((e & f) ^ (~e & g)) + constant + words[i];
      const Word second = (kWide ? Mix(a, 28, 34, 39) : Mix(a, 2, 13, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      h = g;
      g = f;
      f = e;
      e = d + first;
      d = c;
      c = b;
      b = a;
      a = first + second;
    }
    const State rounds = {a, b, c, d, e, f, g, h};
    for (size_t i = 0; i < 8; ++i) state[i] += rounds[i];
  }
};

/// From the square roots of the primes from the nth on; 32-bit words take the upper half, or of SHA-224 the lower.
template <typename Word> typename Sha2<Word>::State First(size_t prime, int shift) {
  typename Sha2<Word>::State state;
  for (size_t i = 0; i < 8; ++i) state[i] = static_cast<Word>(Roots().square_roots[prime + i] >> shift);
  return state;
}

}  // namespace

std::string Sha224(std::string_view bytes) { return Sha2<uint32_t>::Digest(First<uint32_t>(8, 0), bytes, 28); }
std::string Sha256(std::string_view bytes) { return Sha2<uint32_t>::Digest(First<uint32_t>(0, 32), bytes, 32); }
std::string Sha384(std::string_view bytes) { return Sha2<uint64_t>::Digest(First<uint64_t>(8, 0), bytes, 48); }
std::string Sha512(std::string_view bytes) { return Sha2<uint64_t>::Digest(First<uint64_t>(0, 0), bytes, 64); }

}  // namespace kappa::expr

// The table of operators and scalar functions: signatures, kernels, one line of documentation each.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "expr/kernel.h"

namespace kappa::expr {

/// kSession depends on the session's time zone alone: a view, whose zone is fixed, may use it, but it is not folded when
/// the statement is bound. kStable is constant during one evaluation (now()), kVolatile differs from row to row (random()).
enum class Volatility : uint8_t { kImmutable, kSession, kStable, kVolatile };

/// A parameter or result type: a type, or one of PostgreSQL's pseudo-types. All pseudo-typed parameters of one call share one
/// element type: in the anyelement family arguments must already agree, in the anycompatible family they are cast to their
/// common type.
struct SignatureType {
  enum class Pseudo : uint8_t { kNone, kAny, kElement, kArray, kNonArray, kCompatible, kCompatibleArray };
  data::Type type;
  Pseudo pseudo = Pseudo::kNone;
  std::string ToString() const;
};

struct Signature {
  std::string name;
  std::vector<SignatureType> parameters;
  SignatureType result;
  Kernel kernel;
  std::string description;
  FunctionInfo::Kind kind = FunctionInfo::Kind::kFunction;
  Volatility volatility = Volatility::kImmutable;
  bool variadic = false;    // the last parameter may repeat (at least one)
  bool strict = true;       // a constant NULL argument makes every row NULL; kernels see to NULL rows of columns themselves
  bool infallible = false;  // no row can fail, and evaluating a row more is cheaper than selecting rows

  Signature& Stable() {
    volatility = Volatility::kStable;
    return *this;
  }
  Signature& Session() {
    volatility = Volatility::kSession;
    return *this;
  }
  Signature& Volatile() {
    volatility = Volatility::kVolatile;
    return *this;
  }
  Signature& CalledOnNull() {
    strict = false;
    return *this;
  }
  Signature& Infallible() {
    infallible = true;
    return *this;
  }
};

class Registry {
 public:
  /// `types` is like "text, int4 -> text" or "any, variadic any -> text"; "-> int4" takes no arguments.
  Signature& Function(std::string_view name, std::string_view types, Kernel kernel, std::string_view description);
  Signature& Operator(std::string_view name, std::string_view types, Kernel kernel, std::string_view description);
  /// A function that psql and drivers call.
  Signature& System(std::string_view name, std::string_view types, Kernel kernel, std::string_view description);

  const std::vector<const Signature*>& FindFunctions(std::string_view name) const;
  const std::vector<const Signature*>& FindOperators(std::string_view name) const;
  const std::deque<Signature>& all() const { return signatures_; }

 private:
  using Index = std::unordered_map<std::string, std::vector<const Signature*>>;
  Signature& Add(Index& index, FunctionInfo::Kind kind, std::string_view name, std::string_view types, Kernel kernel, std::string_view description);

  std::deque<Signature> signatures_;
  Index functions_;
  Index operators_;
};

/// The registry with everything in it; made at first use.
const Registry& Functions();

/// Types resolved for one call.
struct Resolution {
  const Signature* signature = nullptr;
  std::vector<data::Type> arguments;  // what the arguments must be cast to
  data::Type result;
};

enum class ResolveFailure : uint8_t { kNone, kNoMatch, kAmbiguous };
/// PostgreSQL's overload resolution (manual, chapter 10). `exact_only` stops before implicit casts.
ResolveFailure Resolve(const std::vector<const Signature*>& candidates, std::span<const data::Type> types, bool is_operator, bool exact_only,
                       Resolution& resolution);

/// Type categories of pg_type.typcategory: 'B' 'N' 'S' 'D' 'T' 'A' 'U' 'X'.
char Category(const data::Type& type);
bool IsPreferred(const data::Type& type);

}  // namespace kappa::expr

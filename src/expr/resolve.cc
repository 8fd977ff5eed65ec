// Overload resolution as in PostgreSQL's parse_func.c and parse_oper.c, and the common type of parse_coerce.c.
#include <fmt/format.h>

#include <algorithm>

#include "data/enum_type.h"
#include "expr/cast.h"
#include "expr/registry.h"

namespace kappa::expr {

using data::Type;
using data::TypeId;
using Pseudo = SignatureType::Pseudo;

char Category(const Type& type) {
  switch (type.id) {
    case TypeId::kUnknown: return 'X';
    case TypeId::kBool: return 'B';
    case TypeId::kInt2:
    case TypeId::kInt4:
    case TypeId::kInt8:
    case TypeId::kOid:
    case TypeId::kFloat4:
    case TypeId::kFloat8:
    case TypeId::kNumeric: return 'N';
    case TypeId::kText: return 'S';
    case TypeId::kDate:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kTimestamptz: return 'D';
    case TypeId::kInterval: return 'T';
    case TypeId::kArray: return 'A';
    case TypeId::kBytea:
    case TypeId::kJsonb:
    case TypeId::kUuid: return 'U';
    case TypeId::kEnum: return 'E';
    case TypeId::kRecord: return 'P';
  }
  return 'U';
}

bool IsPreferred(const Type& type) {
  switch (type.id) {
    case TypeId::kBool:
    case TypeId::kFloat8:
    case TypeId::kOid:
    case TypeId::kText:
    case TypeId::kTimestamptz:
    case TypeId::kInterval: return true;
    default: return false;
  }
}

namespace {

bool ImplicitlyCoercible(const Type& from, const Type& to) {
  return from.id == TypeId::kUnknown || from.Same(to) || HasCast(from, to, CastContext::kImplicit);
}

/// What parse_coerce.c's select_common_type_no_error does: false when there is no common type.
bool FindCommonType(std::span<const Type> types, Type& common) {
  common = {};
  for (const Type& type : types) {
    if (type.id == TypeId::kUnknown) continue;
    if (common.id == TypeId::kUnknown) {
      common = type;
    } else if (!common.Same(type)) {
      if (Category(common) != Category(type)) return false;
      if (!IsPreferred(common) && ImplicitlyCoercible(common, type) && !ImplicitlyCoercible(type, common)) common = type;
    }
  }
  if (common.id == TypeId::kUnknown) common = TypeId::kText;
  for (const Type& type : types) {
    if (!ImplicitlyCoercible(type, common)) return false;
  }
  return true;
}

/// A signature whose variadic tail is expanded to the number of arguments, with pseudo-types bound to these arguments.
struct Candidate {
  const Signature* signature = nullptr;
  std::vector<SignatureType> parameters;
  std::vector<Type> bound;  // the types that arguments are cast to
  Type element;
};

bool IsArrayPseudo(Pseudo pseudo) { return pseudo == Pseudo::kArray || pseudo == Pseudo::kCompatibleArray; }

/// The element type that the pseudo-typed arguments share; false when there is none.
bool BindElement(std::span<const Type> types, Candidate& candidate) {
  std::vector<Type> elements;
  bool strict = false;
  bool has_array = false;
  for (size_t i = 0; i < types.size(); ++i) {
    const Pseudo pseudo = candidate.parameters[i].pseudo;
    if (pseudo == Pseudo::kNone || pseudo == Pseudo::kAny) continue;
    strict = strict || (pseudo != Pseudo::kCompatible && pseudo != Pseudo::kCompatibleArray);
    if (IsArrayPseudo(pseudo)) {
      has_array = true;
      if (!types[i].is_array() && types[i].id != TypeId::kUnknown) return false;
      elements.push_back(types[i].is_array() ? data::ElementType(types[i]) : Type());
    } else {
      if (pseudo == Pseudo::kNonArray && types[i].is_array()) return false;
      elements.push_back(types[i].WithoutModifier());
    }
  }
  if (elements.empty()) return true;
  if (!FindCommonType(elements, candidate.element)) return false;
  if (has_array && candidate.element.is_array()) return false;  // arrays of arrays are no type of their own
  if (!strict) return true;
  return std::all_of(elements.begin(), elements.end(), [&](const Type& type) { return type.id == TypeId::kUnknown || type.Same(candidate.element); });
}

/// False when the arguments do not fit. Binds pseudo-types.
bool Bind(std::span<const Type> types, Candidate& candidate) {
  for (size_t i = 0; i < types.size(); ++i) {
    const SignatureType& parameter = candidate.parameters[i];
    if (parameter.pseudo == Pseudo::kNone && !ImplicitlyCoercible(types[i], parameter.type)) return false;
  }
  if (!BindElement(types, candidate)) return false;
  for (size_t i = 0; i < types.size(); ++i) {
    const SignatureType& parameter = candidate.parameters[i];
    if (parameter.pseudo == Pseudo::kNone) candidate.bound.push_back(parameter.type);
    else if (parameter.pseudo == Pseudo::kAny) candidate.bound.push_back(types[i].id == TypeId::kUnknown ? Type(TypeId::kText) : types[i]);
    else candidate.bound.push_back(IsArrayPseudo(parameter.pseudo) ? data::ArrayType(candidate.element) : candidate.element);
  }
  return true;
}

void Finish(Candidate candidate, Resolution& resolution) {
  resolution.signature = candidate.signature;
  resolution.arguments = std::move(candidate.bound);
  const SignatureType& result = candidate.signature->result;
  if (result.pseudo == Pseudo::kNone) resolution.result = result.type;
  else resolution.result = IsArrayPseudo(result.pseudo) ? data::ArrayType(candidate.element) : candidate.element;
}

bool IsExact(const SignatureType& parameter, const Type& type) { return parameter.pseudo == Pseudo::kNone && parameter.type.Same(type); }

char ParameterCategory(const SignatureType& parameter) { return parameter.pseudo == Pseudo::kNone ? Category(parameter.type) : 'P'; }
bool IsPreferredParameter(const SignatureType& parameter) { return parameter.pseudo == Pseudo::kNone && IsPreferred(parameter.type); }

/// Keeps the candidates with the highest score.
template <typename Score> void KeepBest(std::vector<Candidate>& candidates, Score score) {
  int best = 0;
  for (const Candidate& candidate : candidates) best = std::max(best, score(candidate));
  std::erase_if(candidates, [&](const Candidate& candidate) { return score(candidate) < best; });
}

/// func_select_candidate: narrows down to one, or gives up.
void SelectCandidate(std::vector<Candidate>& candidates, std::span<const Type> types) {
  KeepBest(candidates, [&](const Candidate& candidate) {
    int exact = 0;
    for (size_t i = 0; i < types.size(); ++i) exact += types[i].id != TypeId::kUnknown && IsExact(candidate.parameters[i], types[i]);
    return exact;
  });
  if (candidates.size() == 1) return;
  KeepBest(candidates, [&](const Candidate& candidate) {
    int good = 0;
    for (size_t i = 0; i < types.size(); ++i) {
      if (types[i].id == TypeId::kUnknown) continue;
      good += IsExact(candidate.parameters[i], types[i]) ||
              (ParameterCategory(candidate.parameters[i]) == Category(types[i]) && IsPreferredParameter(candidate.parameters[i]));
    }
    return good;
  });
  if (candidates.size() == 1) return;
  const auto unknowns = std::count_if(types.begin(), types.end(), [](const Type& type) { return type.id == TypeId::kUnknown; });
  if (unknowns == 0) return;

  // Unknown literals: one category for each of their positions, strings win.
  struct Slot {
    char category = 0;
    bool preferred = false;
  };
  std::vector<Slot> slots(types.size());
  bool resolved = true;
  for (size_t i = 0; i < types.size() && resolved; ++i) {
    if (types[i].id != TypeId::kUnknown) continue;
    bool conflict = false;
    for (const Candidate& candidate : candidates) {
      const char category = ParameterCategory(candidate.parameters[i]);
      const bool preferred = IsPreferredParameter(candidate.parameters[i]);
      if (slots[i].category == 0) slots[i] = {category, preferred};
      else if (category == slots[i].category) slots[i].preferred = slots[i].preferred || preferred;
      else if (category == 'S') slots[i] = {category, preferred};
      else conflict = true;
    }
    if (conflict && slots[i].category != 'S') resolved = false;
  }
  if (resolved) {
    std::vector<Candidate> kept;
    for (const Candidate& candidate : candidates) {
      bool keep = true;
      for (size_t i = 0; i < types.size(); ++i) {
        if (types[i].id != TypeId::kUnknown) continue;
        keep = keep && ParameterCategory(candidate.parameters[i]) == slots[i].category &&
               (!slots[i].preferred || IsPreferredParameter(candidate.parameters[i]));
      }
      if (keep) kept.push_back(candidate);
    }
    if (!kept.empty()) candidates = std::move(kept);
    if (candidates.size() == 1) return;
  }

  // Last resort: the unknown ones have the type that all known ones share.
  if (static_cast<size_t>(unknowns) == types.size()) return;
  Type known;
  for (const Type& type : types) {
    if (type.id == TypeId::kUnknown) continue;
    if (known.id == TypeId::kUnknown) known = type;
    else if (!known.Same(type)) return;
  }
  std::vector<Type> all(types.size(), known);
  std::vector<Candidate> kept;
  for (const Candidate& candidate : candidates) {
    Candidate fresh{candidate.signature, candidate.parameters, {}, {}};
    if (Bind(all, fresh)) kept.push_back(std::move(fresh));
  }
  if (kept.size() == 1) candidates = std::move(kept);
}

}  // namespace

ResolveFailure Resolve(const std::vector<const Signature*>& signatures, std::span<const Type> types, bool is_operator, bool exact_only,
                       Resolution& resolution) {
  std::vector<Candidate> candidates;
  for (const Signature* signature : signatures) {
    const size_t parameters = signature->parameters.size();
    if (signature->variadic ? types.size() < parameters : types.size() != parameters) continue;
    Candidate candidate{signature, signature->parameters, {}, {}};
    candidate.parameters.resize(types.size(), parameters > 0 ? signature->parameters.back() : SignatureType());
    candidates.push_back(std::move(candidate));
  }
  // An exact match wins; of an operator's two sides, an unknown literal is first taken to be of the other's type.
  std::vector<Type> assumed(types.begin(), types.end());
  if (is_operator && assumed.size() == 2) {
    if (assumed[0].id == TypeId::kUnknown) assumed[0] = assumed[1];
    else if (assumed[1].id == TypeId::kUnknown) assumed[1] = assumed[0];
  }
  for (const Candidate& candidate : candidates) {
    bool exact = true;
    for (size_t i = 0; i < assumed.size(); ++i) exact = exact && IsExact(candidate.parameters[i], assumed[i]);
    if (exact) {
      Candidate bound = candidate;
      KAPPA_CHECK(Bind(assumed, bound));
      Finish(std::move(bound), resolution);
      return ResolveFailure::kNone;
    }
  }
  if (exact_only) return ResolveFailure::kNoMatch;
  std::erase_if(candidates, [&](Candidate& candidate) { return !Bind(types, candidate); });
  if (candidates.empty()) return ResolveFailure::kNoMatch;
  if (candidates.size() > 1) SelectCandidate(candidates, types);
  if (candidates.size() > 1) return ResolveFailure::kAmbiguous;
  Finish(std::move(candidates.front()), resolution);
  return ResolveFailure::kNone;
}

Result<Type> CommonType(std::span<const Type> types, std::string_view what, int position) {
  Type common;
  bool same_modifier = true;
  for (const Type& type : types) {
    if (type.id == TypeId::kUnknown) continue;
    if (common.id == TypeId::kUnknown) {
      common = type;
      continue;
    }
    same_modifier = same_modifier && common == type;
    if (common.Same(type)) continue;
    if (Category(common) != Category(type)) {
      return Error(sqlstate::kDatatypeMismatch,
                   fmt::format("{} types {} and {} cannot be matched", what, common.WithoutModifier().ToString(), type.WithoutModifier().ToString()))
          .At(position);
    }
    if (!IsPreferred(common) && ImplicitlyCoercible(common, type) && !ImplicitlyCoercible(type, common)) common = type;
  }
  if (common.id == TypeId::kUnknown) return Type(TypeId::kText);
  for (const Type& type : types) {
    if (ImplicitlyCoercible(type, common)) continue;
    return Error(sqlstate::kCannotCoerce,
                 fmt::format("{} could not convert type {} to {}", what, type.WithoutModifier().ToString(), common.WithoutModifier().ToString()))
        .At(position);
  }
  return same_modifier ? common : common.WithoutModifier();
}

}  // namespace kappa::expr

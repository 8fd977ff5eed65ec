// Goal: operators, functions and casts answer as PostgreSQL 15 does.
// Method: test/golden/expr/*.tsv hold expressions and PostgreSQL's answers (generate.py); each is evaluated as written and
// folded. A small parser, precedence climbing over PostgreSQL's levels, turns the text into Make calls.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "data/interval_fields.h"
#include "expr/expression.h"

namespace kappa::expr {
namespace {

using data::Type;
using data::TypeId;
using data::Value;

Error Syntax(std::string what) { return Error(sqlstate::kSyntaxError, "test parser: " + what); }

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) { Advance(); }

  Result<ExprPtr> Parse() {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr expression, Or());
    if (token_ != Token::kEnd) return Syntax("text left at " + word_);
    return expression;
  }

 private:
  enum class Token : uint8_t { kEnd, kWord, kNumber, kString, kOperator };
  using Exprs = std::vector<ExprPtr>;

  void Advance() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    position_ = static_cast<int>(at_) + 1;
    if (at_ >= text_.size()) {
      token_ = Token::kEnd;
      word_.clear();
      return;
    }
    const char c = text_[at_];
    const size_t start = at_;
    if (std::isalpha(static_cast<unsigned char>(c)) || c == '_') {
      while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) ++at_;
      token_ = Token::kWord;
    } else if (std::isdigit(static_cast<unsigned char>(c))) {
      while (at_ < text_.size() && (std::isdigit(static_cast<unsigned char>(text_[at_])) || text_[at_] == '.')) ++at_;
      if (at_ < text_.size() && text_[at_] == 'e') {
        ++at_;
        if (text_[at_] == '-') ++at_;
        while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_]))) ++at_;
      }
      token_ = Token::kNumber;
    } else if (c == '\'') {
      word_.clear();
      for (++at_; at_ < text_.size(); ++at_) {
        if (text_[at_] == '\'' && (at_ + 1 >= text_.size() || text_[++at_] != '\'')) break;
        word_ += text_[at_];
      }
      if (at_ == text_.size() - 1 && text_[at_] == '\'') ++at_;
      token_ = Token::kString;
      return;
    } else if (std::string_view("()[],;").find(c) != std::string_view::npos || text_.substr(at_).starts_with("::")) {
      at_ += c == ':' ? 2 : 1;
      token_ = Token::kOperator;
    } else if (c == ':') {
      ++at_;
      token_ = Token::kOperator;
    } else {
      constexpr std::string_view kOperatorCharacters = "+-*/<>=~!@#%^&|`?";
      while (at_ < text_.size() && kOperatorCharacters.find(text_[at_]) != std::string_view::npos) ++at_;
      if (at_ == start) ++at_;
      // A trailing + or - belongs to the next operand unless the operator holds one of these characters.
      while (at_ - start > 1 && (text_[at_ - 1] == '-' || text_[at_ - 1] == '+') &&
             text_.substr(start, at_ - start).find_first_of("~!@#%^&|`?") == std::string_view::npos)
        --at_;
      token_ = Token::kOperator;
    }
    word_ = text_.substr(start, at_ - start);
  }

  bool IsWord(std::string_view word) const { return token_ == Token::kWord && word_ == word; }
  bool IsOperator(std::string_view op) const { return token_ == Token::kOperator && word_ == op; }
  bool TakeWord(std::string_view word) { return IsWord(word) && (Advance(), true); }
  bool TakeOperator(std::string_view op) { return IsOperator(op) && (Advance(), true); }
  Status Expect(std::string_view op) {
    if (!TakeOperator(op)) return Syntax("expected " + std::string(op) + " at " + word_);
    return {};
  }

  Result<ExprPtr> Or() {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr left, And());
    while (IsWord("or")) {
      const int position = position_;
      Advance();
      KAPPA_ASSIGN_OR_RETURN(ExprPtr right, And());
      KAPPA_ASSIGN_OR_RETURN(left, MakeOr({left, right}, position));
    }
    return left;
  }
  Result<ExprPtr> And() {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr left, Not());
    while (IsWord("and")) {
      const int position = position_;
      Advance();
      KAPPA_ASSIGN_OR_RETURN(ExprPtr right, Not());
      KAPPA_ASSIGN_OR_RETURN(left, MakeAnd({left, right}, position));
    }
    return left;
  }
  Result<ExprPtr> Not() {
    const int position = position_;
    if (!TakeWord("not")) return Is();
    KAPPA_ASSIGN_OR_RETURN(ExprPtr argument, Not());
    return MakeNot(argument, position);
  }
  Result<ExprPtr> Is() {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr left, Comparison());
    while (IsWord("is")) {
      const int position = position_;
      Advance();
      const bool negated = TakeWord("not");
      if (TakeWord("null")) {
        left = MakeIsNull(left, negated);
      } else if (TakeWord("distinct")) {
        Advance();  // from
        KAPPA_ASSIGN_OR_RETURN(ExprPtr right, Comparison());
        KAPPA_ASSIGN_OR_RETURN(left, MakeDistinct(left, right, negated, position));
      } else {
        const std::string name = std::string(negated ? "is_not_" : "is_") + word_;
        Advance();
        KAPPA_ASSIGN_OR_RETURN(left, MakeFunction(name, {left}, position));
      }
    }
    return left;
  }
  Result<ExprPtr> Comparison() {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr left, Range());
    while (IsOperator("<") || IsOperator(">") || IsOperator("=") || IsOperator("<=") || IsOperator(">=") || IsOperator("<>") || IsOperator("!=")) {
      const int position = position_;
      const std::string op = word_;
      Advance();
      KAPPA_ASSIGN_OR_RETURN(left, RightOf(op, left, position, [this] { return Range(); }));
    }
    return left;
  }
  /// op ANY (array), op ALL (array), or a plain right side.
  template <typename Next> Result<ExprPtr> RightOf(const std::string& op, ExprPtr left, int position, Next next) {
    if (IsWord("any") || IsWord("all")) {
      const bool all = word_ == "all";
      Advance();
      KAPPA_RETURN_IF_ERROR(Expect("("));
      KAPPA_ASSIGN_OR_RETURN(ExprPtr array, Or());
      KAPPA_RETURN_IF_ERROR(Expect(")"));
      return MakeArrayComparison(op, left, array, all, position);
    }
    KAPPA_ASSIGN_OR_RETURN(ExprPtr right, next());
    return MakeOperator(op, {left, right}, position);
  }
  Result<ExprPtr> Range() {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr left, Other());
    for (;;) {
      const int position = position_;
      const bool negated = IsWord("not");
      if (negated) Advance();
      if (TakeWord("between")) {
        KAPPA_ASSIGN_OR_RETURN(ExprPtr low, Other());
        Advance();  // and
        KAPPA_ASSIGN_OR_RETURN(ExprPtr high, Other());
        KAPPA_ASSIGN_OR_RETURN(ExprPtr above, MakeOperator(">=", {left, low}, position));
        KAPPA_ASSIGN_OR_RETURN(ExprPtr below, MakeOperator("<=", {left, high}, position));
        KAPPA_ASSIGN_OR_RETURN(left, MakeAnd({above, below}, position));
      } else if (TakeWord("in")) {
        KAPPA_RETURN_IF_ERROR(Expect("("));
        KAPPA_ASSIGN_OR_RETURN(Exprs list, List(")"));
        KAPPA_ASSIGN_OR_RETURN(left, MakeIn(left, list, negated, position));
      } else if (IsWord("like") || IsWord("ilike")) {
        const std::string op = std::string(negated ? "!" : "") + (word_ == "like" ? "~~" : "~~*");
        Advance();
        KAPPA_ASSIGN_OR_RETURN(left, RightOf(op, left, position, [this]() -> Result<ExprPtr> {
                                 KAPPA_ASSIGN_OR_RETURN(ExprPtr pattern, Other());
                                 const int escape_position = position_;
                                 if (!TakeWord("escape")) return pattern;
                                 KAPPA_ASSIGN_OR_RETURN(ExprPtr escape, Other());
                                 return MakeFunction("like_escape", {pattern, escape}, escape_position);
                               }));
      } else {
        return left;
      }
    }
  }
  bool IsOtherOperator() const {
    static const std::string_view kKnown[] = {
        "+", "-", "*", "/", "%", "^", "<", ">", "=", "<=", ">=", "<>", "!=", "(", ")", "[", "]", ",", ";", "::", ":"};
    return token_ == Token::kOperator && std::find(std::begin(kKnown), std::end(kKnown), word_) == std::end(kKnown);
  }
  Result<ExprPtr> Other() {
    if (IsOtherOperator()) {
      const int position = position_;
      const std::string op = word_;
      Advance();
      KAPPA_ASSIGN_OR_RETURN(ExprPtr argument, Sum());
      return MakeOperator(op, {argument}, position);
    }
    KAPPA_ASSIGN_OR_RETURN(ExprPtr left, Sum());
    while (IsOtherOperator()) {
      const int position = position_;
      const std::string op = word_;
      Advance();
      KAPPA_ASSIGN_OR_RETURN(left, RightOf(op, left, position, [this] { return Sum(); }));
    }
    return left;
  }
  template <typename Next> Result<ExprPtr> LeftAssociative(std::initializer_list<std::string_view> operators, Next next) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr left, next());
    while (token_ == Token::kOperator && std::find(operators.begin(), operators.end(), word_) != operators.end()) {
      const int position = position_;
      const std::string op = word_;
      Advance();
      KAPPA_ASSIGN_OR_RETURN(ExprPtr right, next());
      KAPPA_ASSIGN_OR_RETURN(left, MakeOperator(op, {left, right}, position));
    }
    return left;
  }
  Result<ExprPtr> Sum() {
    return LeftAssociative({"+", "-"}, [this] { return Product(); });
  }
  Result<ExprPtr> Product() {
    return LeftAssociative({"*", "/", "%"}, [this] { return Exponent(); });
  }
  Result<ExprPtr> Exponent() {
    return LeftAssociative({"^"}, [this] { return AtZone(); });
  }
  Result<ExprPtr> AtZone() {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr left, Unary());
    while (IsWord("at")) {
      const int position = position_;
      Advance();
      Advance();
      Advance();
      KAPPA_ASSIGN_OR_RETURN(ExprPtr zone, Unary());
      KAPPA_ASSIGN_OR_RETURN(left, MakeFunction("timezone", {zone, left}, position));
    }
    return left;
  }
  Result<ExprPtr> Unary() {
    if (!IsOperator("-") && !IsOperator("+")) return Postfix();
    const int position = position_;
    const std::string op = word_;
    Advance();
    // As PostgreSQL's grammar does, the minus of a number becomes part of the constant.
    if (op == "-" && token_ == Token::kNumber) {
      const size_t end = at_;
      while (at_ < text_.size() && text_[at_] == ' ') ++at_;
      const bool cast = text_.substr(at_).starts_with("::");  // binds tighter than the minus
      at_ = end;
      if (!cast) return Number("-");
    }
    KAPPA_ASSIGN_OR_RETURN(ExprPtr argument, Unary());
    return MakeOperator(op, {argument}, position);
  }
  Result<ExprPtr> Postfix() {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr primary, Primary());
    return Suffixes(primary);
  }
  Result<ExprPtr> Suffixes(ExprPtr expression) {
    for (;;) {
      const int position = position_;
      if (TakeOperator("::")) {
        KAPPA_ASSIGN_OR_RETURN(const Type type, TypeName());
        KAPPA_ASSIGN_OR_RETURN(expression, MakeCast(expression, type, CastContext::kExplicit, position));
      } else if (TakeOperator("[")) {
        Exprs indexes;
        for (;;) {
          KAPPA_ASSIGN_OR_RETURN(ExprPtr index, Or());
          if (IsOperator(":")) return Error(sqlstate::kFeatureNotSupported, "slices");
          indexes.push_back(index);
          KAPPA_RETURN_IF_ERROR(Expect("]"));
          if (!TakeOperator("[")) break;
        }
        for (const ExprPtr& index : indexes) { KAPPA_ASSIGN_OR_RETURN(expression, MakeSubscript(expression, index, position)); }
      } else {
        return expression;
      }
    }
  }
  Result<Type> TypeName() {
    std::string name = word_;
    Advance();
    if (name == "double" || name == "character") {
      name += " " + word_;
      Advance();
    }
    if (TakeOperator("(")) {
      name += "(";
      while (!IsOperator(")")) {
        name += word_;
        Advance();
      }
      Advance();
      name += ")";
    }
    if (IsOperator("[") && text_.substr(at_).starts_with("]")) {
      Advance();
      Advance();
      name += "[]";
    }
    return data::TypeFromName(name);
  }
  Result<Exprs> List(std::string_view close) {
    Exprs list;
    if (TakeOperator(close)) return list;
    for (;;) {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr item, Or());
      list.push_back(item);
      if (TakeOperator(close)) return list;
      KAPPA_RETURN_IF_ERROR(Expect(","));
    }
  }
  Result<ExprPtr> Number(std::string sign) {
    const std::string text = sign + word_;
    Advance();
    if (text.find_first_of(".e") == std::string::npos) {
      if (auto small = data::FromText(text, TypeId::kInt4); small.ok()) return MakeLiteral(*small);
      if (auto big = data::FromText(text, TypeId::kInt8); big.ok()) return MakeLiteral(*big);
    }
    KAPPA_ASSIGN_OR_RETURN(Value value, data::FromText(text, TypeId::kNumeric));
    return MakeLiteral(value);
  }
  ExprPtr String() {
    ExprPtr literal = MakeLiteral(Value::Bytes(TypeId::kUnknown, word_));
    Advance();
    return literal;
  }
  Result<ExprPtr> ArrayItems(int position) {
    Exprs items;
    if (!TakeOperator("]")) {
      for (;;) {
        if (IsOperator("[")) {
          Advance();
          KAPPA_ASSIGN_OR_RETURN(ExprPtr inner, ArrayItems(position));
          items.push_back(inner);
        } else {
          KAPPA_ASSIGN_OR_RETURN(ExprPtr item, Or());
          items.push_back(item);
        }
        if (TakeOperator("]")) break;
        KAPPA_RETURN_IF_ERROR(Expect(","));
      }
    }
    if (items.empty()) return MakeLiteral(Value::Bytes(TypeId::kUnknown, "{}"));
    return MakeArray(items, position);
  }
  Result<ExprPtr> Case(int position) {
    ExprPtr operand;
    if (!IsWord("when")) { KAPPA_ASSIGN_OR_RETURN(operand, Or()); }
    std::vector<std::pair<ExprPtr, ExprPtr>> branches;
    while (TakeWord("when")) {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr condition, Or());
      Advance();  // then
      KAPPA_ASSIGN_OR_RETURN(ExprPtr result, Or());
      branches.emplace_back(condition, result);
    }
    ExprPtr otherwise;
    if (TakeWord("else")) { KAPPA_ASSIGN_OR_RETURN(otherwise, Or()); }
    Advance();  // end
    return MakeCase(operand, branches, otherwise, position);
  }
  /// Functions whose arguments are separated by words.
  Result<ExprPtr> Special(const std::string& name, int position) {
    if (name == "cast") {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr value, Or());
      Advance();  // as
      KAPPA_ASSIGN_OR_RETURN(const Type type, TypeName());
      KAPPA_RETURN_IF_ERROR(Expect(")"));
      return MakeCast(value, type, CastContext::kExplicit, position);
    }
    if (name == "extract") {
      ExprPtr field = MakeLiteral(Value::Text(word_));
      Advance();
      Advance();  // from
      KAPPA_ASSIGN_OR_RETURN(ExprPtr value, Or());
      KAPPA_RETURN_IF_ERROR(Expect(")"));
      return MakeFunction(name, {field, value}, position);
    }
    if (name == "position") {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr part, Other());
      Advance();  // in
      KAPPA_ASSIGN_OR_RETURN(ExprPtr value, Or());
      KAPPA_RETURN_IF_ERROR(Expect(")"));
      return MakeFunction(name, {value, part}, position);
    }
    if (name == "trim") {
      std::string function = "btrim";
      if (TakeWord("leading")) function = "ltrim";
      else if (TakeWord("trailing")) function = "rtrim";
      else TakeWord("both");
      Exprs arguments;
      KAPPA_ASSIGN_OR_RETURN(ExprPtr first, Or());
      if (TakeWord("from")) {
        KAPPA_ASSIGN_OR_RETURN(ExprPtr value, Or());
        arguments.push_back(value);
      }
      arguments.push_back(first);
      KAPPA_RETURN_IF_ERROR(Expect(")"));
      return MakeFunction(function, arguments, position);
    }
    // substring, overlay
    KAPPA_ASSIGN_OR_RETURN(ExprPtr value, Or());
    Exprs arguments = {value};
    bool from = false;
    while (!TakeOperator(")")) {
      const bool is_for = IsWord("for");
      if (is_for && !from && name == "substring") arguments.push_back(MakeLiteral(Value::Fixed<int32_t>(TypeId::kInt4, 1)));
      from = from || IsWord("from");
      Advance();  // from, for, placing or a comma
      KAPPA_ASSIGN_OR_RETURN(ExprPtr argument, Or());
      arguments.push_back(argument);
    }
    return MakeFunction(name, arguments, position);
  }
  Result<ExprPtr> Primary() {
    const int position = position_;
    if (token_ == Token::kNumber) return Number("");
    if (token_ == Token::kString) return String();
    if (TakeOperator("(")) {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr inner, Or());
      KAPPA_RETURN_IF_ERROR(Expect(")"));
      return inner;
    }
    if (token_ != Token::kWord) return Syntax("unexpected " + word_);
    if (TakeWord("true")) return MakeLiteral(Value::Bool(true));
    if (TakeWord("false")) return MakeLiteral(Value::Bool(false));
    if (TakeWord("null")) return MakeNull(TypeId::kUnknown);
    if (TakeWord("case")) return Case(position);
    const std::string name = word_;
    Advance();
    if (name == "array" && TakeOperator("[")) return ArrayItems(position);
    if (name == "current_timestamp" || name == "current_date") return MakeFunction(name, {}, position);
    if (token_ == Token::kString) {  // type 'text'
      KAPPA_ASSIGN_OR_RETURN(Type type, data::TypeFromName(name));
      ExprPtr literal = String();
      if (type.id == TypeId::kInterval && token_ == Token::kWord && data::IntervalModifierFromWords(word_) >= 0) {
        type.modifier = data::IntervalModifierFromWords(word_);
        Advance();
      }
      return MakeCast(literal, type, CastContext::kExplicit, position);
    }
    KAPPA_RETURN_IF_ERROR(Expect("("));
    if (name == "cast" || name == "extract" || name == "position" || name == "trim" || name == "substring" || name == "overlay")
      return Special(name, position);
    KAPPA_ASSIGN_OR_RETURN(Exprs arguments, List(")"));
    if (name == "coalesce") return MakeCoalesce(arguments, position);
    if (name == "nullif") return MakeNullIf(arguments[0], arguments[1], position);
    if (name == "greatest" || name == "least") return MakeGreatest(arguments, name == "least", position);
    return MakeFunction(name, arguments, position);
  }

  std::string_view text_;
  size_t at_ = 0;
  int position_ = 1;
  Token token_ = Token::kEnd;
  std::string word_;
};

std::string Show(const Result<Value>& value) {
  if (!value.ok()) return "!" + value.error().sqlstate();
  if (value->null) return "NULL";
  const std::string text = value->type.id == TypeId::kUnknown ? value->bytes : data::ToText(*value);
  std::string escaped;
  for (char c : text) {
    if (c == '\\') escaped += "\\\\";
    else if (c == '\n') escaped += "\\n";
    else escaped += c;
  }
  return escaped;
}

std::string Answer(std::string_view text, bool fold) {
  auto expression = Parser(text).Parse();
  if (!expression.ok()) {
    if (expression.error().Is(sqlstate::kSyntaxError)) return expression.error().message();
    return "!" + expression.error().sqlstate();
  }
  EvalContext context;
  context.now_us = 1'600'000'000'000'000;
  return Show(EvaluateConstant(fold ? *FoldConstants(*expression) : **expression, context));
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, AnswersAsPostgres) {
  const std::filesystem::path path = std::filesystem::path(__FILE__).parent_path() / "../../test/golden/expr" / (GetParam() + ".tsv");
  std::ifstream file(path);
  ASSERT_TRUE(file.is_open()) << path;
  // Where kappa refuses or differs on purpose: EXPRESSION <tab> its own answer.
  std::map<std::string, std::string> differences;
  std::ifstream known(path.parent_path() / "differences.tsv");
  for (std::string line; std::getline(known, line);) {
    if (const size_t tab = line.find('\t'); tab != std::string::npos && line[0] != '#')
      differences[line.substr(0, tab)] = line.substr(tab + 1, line.find('\t', tab + 1) - tab - 1);
  }
  int checked = 0;
  for (std::string line; std::getline(file, line);) {
    const size_t tab = line.find('\t');
    if (line.empty() || line[0] == '#' || tab == std::string::npos) continue;
    const std::string expression = line.substr(0, tab);
    std::string expected = line.substr(tab + 1);
    if (auto found = differences.find(expression); found != differences.end()) expected = found->second;
    EXPECT_EQ(Answer(expression, false), expected) << expression;
    EXPECT_EQ(Answer(expression, true), expected) << "folded: " << expression;
    ++checked;
  }
  EXPECT_GT(checked, 20);
}

INSTANTIATE_TEST_SUITE_P(Files, Golden,
                         testing::Values("resolution", "matrix", "arithmetic", "logic", "text", "pattern", "cast", "datetime", "time", "to_char",
                                         "json", "array"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace kappa::expr

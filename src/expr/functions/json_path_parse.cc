// The grammar of SQL/JSON paths, by recursive descent.
#include <fmt/format.h>

#include <array>

#include "data/json.h"
#include "expr/functions/json_path.h"

namespace kappa::expr {
namespace {

using Node = JsonPathNode;
using Kind = JsonPathNode::Kind;
using Ptr = JsonPathNode::Ptr;

constexpr int kDepthMax = 500;

struct Token {
  enum class Type : uint8_t { kEnd, kName, kString, kNumber, kVariable, kSymbol } type = Type::kEnd;
  std::string text;  // what a name or string stands for
  size_t at = 0;
};

bool EndsName(char c) { return c == '\0' || std::string_view("?%$.[]{}()|&!=<>@#,*:-+/\"\\ \t\n\r\f").find(c) != std::string_view::npos; }

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<std::shared_ptr<const JsonPath>> Path() {
    KAPPA_RETURN_IF_ERROR(Advance());
    auto path = std::make_shared<JsonPath>();
    if (IsName("lax") || IsName("strict")) {
      path->lax = IsName("lax");
      KAPPA_RETURN_IF_ERROR(Advance());
    }
    if (token_.type == Token::Type::kEnd && text_.find_first_not_of(" \t\n\r") == std::string_view::npos)
      return Error(sqlstate::kInvalidTextRepresentation, fmt::format("invalid input syntax for type jsonpath: \"{}\"", text_));
    KAPPA_ASSIGN_OR_RETURN(path->root, Or());
    if (token_.type != Token::Type::kEnd) return Unexpected();
    return std::shared_ptr<const JsonPath>(std::move(path));
  }

 private:
  // ---- tokens

  Error Unexpected() const {
    if (token_.type == Token::Type::kEnd) return Error(sqlstate::kSyntaxError, "syntax error at end of jsonpath input");
    return Error(sqlstate::kSyntaxError, fmt::format("syntax error at or near \"{}\" of jsonpath input", text_.substr(token_.at, at_ - token_.at)));
  }
  char Peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool IsSymbol(std::string_view symbol) const { return token_.type == Token::Type::kSymbol && token_.text == symbol; }
  bool IsName(std::string_view name) const { return token_.type == Token::Type::kName && token_.text == name; }
  Result<bool> Take(std::string_view symbol) {
    if (!IsSymbol(symbol)) return false;
    KAPPA_RETURN_IF_ERROR(Advance());
    return true;
  }
  Status Expect(std::string_view symbol) { return IsSymbol(symbol) ? Advance() : Status(Unexpected()); }

  Status Advance() {
    while (at_ < text_.size() && std::string_view(" \t\n\r\f").find(text_[at_]) != std::string_view::npos) ++at_;
    token_ = {Token::Type::kEnd, "", at_};
    if (at_ == text_.size()) return {};
    const char c = text_[at_];
    if (c == '"') {
      token_.type = Token::Type::kString;
      return Quoted(token_.text);
    }
    if (c == '$' && (Peek(1) == '"' || !EndsName(Peek(1)))) {
      ++at_;
      token_.type = Token::Type::kVariable;
      return Peek() == '"' ? Quoted(token_.text) : Bare(token_.text);
    }
    if ((c >= '0' && c <= '9') || (c == '.' && Peek(1) >= '0' && Peek(1) <= '9')) return Number();
    if (EndsName(c)) {
      token_.type = Token::Type::kSymbol;
      static constexpr std::array<std::string_view, 9> kPairs = {"**", "==", "!=", "<>", "<=", ">=", "&&", "||", "//"};
      for (const std::string_view pair : kPairs) {
        if (text_.substr(at_, 2) != pair) continue;
        at_ += 2;
        token_.text = pair;
        return {};
      }
      token_.text = text_.substr(at_++, 1);
      return {};
    }
    token_.type = Token::Type::kName;
    return Bare(token_.text);
  }
  Status Bare(std::string& out) {
    const size_t begin = at_;
    while (!EndsName(Peek())) ++at_;
    out = text_.substr(begin, at_ - begin);
    return {};
  }
  /// Strings are JSON's.
  Status Quoted(std::string& out) {
    const size_t begin = at_++;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    if (at_ >= text_.size()) {
      at_ = text_.size();
      return Error(sqlstate::kSyntaxError, "unterminated quoted string at end of jsonpath input");
    }
    ++at_;
    std::string json;
    KAPPA_RETURN_IF_ERROR(data::NormalizeJson(text_.substr(begin, at_ - begin), json));
    data::AppendJsonUnquoted(json, out);
    return {};
  }
  Status Number() {
    const size_t begin = at_;
    const auto digits = [&] {
      while (Peek() >= '0' && Peek() <= '9') ++at_;
    };
    digits();
    if (Peek() == '.' && !(EndsName(Peek(1)) && Peek(1) == '.') && (Peek(1) < 'a' || Peek(1) > 'z')) {
      ++at_;
      digits();
    }
    if ((Peek() == 'e' || Peek() == 'E') && (Peek(1) == '-' || Peek(1) == '+' || (Peek(1) >= '0' && Peek(1) <= '9'))) {
      at_ += 2;
      digits();
    }
    token_.type = Token::Type::kNumber;
    token_.text = text_.substr(begin, at_ - begin);
    if (!EndsName(Peek()))
      return Error(sqlstate::kSyntaxError,
                   fmt::format("trailing junk after numeric literal at or near \"{}\" of jsonpath input", text_.substr(begin, at_ + 1 - begin)));
    return {};
  }

  // ---- expressions, loosest first

  static Ptr Make(Kind kind, Ptr left = nullptr, Ptr right = nullptr) {
    auto node = std::make_unique<Node>(kind);
    node->left = std::move(left);
    node->right = std::move(right);
    return node;
  }
  Result<Ptr> Or() { return Logic("||", Kind::kOr, &Parser::And); }
  Result<Ptr> And() { return Logic("&&", Kind::kAnd, &Parser::Comparison); }
  Result<Ptr> Logic(std::string_view symbol, Kind kind, Result<Ptr> (Parser::*operand)()) {
    if (++depth_ > kDepthMax) return Error(sqlstate::kStatementTooComplex, "jsonpath is nested too deeply");
    KAPPA_ASSIGN_OR_RETURN(Ptr left, (this->*operand)());
    while (IsSymbol(symbol)) {
      if (!left->is_predicate()) return Unexpected();
      KAPPA_RETURN_IF_ERROR(Advance());
      KAPPA_ASSIGN_OR_RETURN(Ptr right, (this->*operand)());
      if (!right->is_predicate()) return Unexpected();
      left = Make(kind, std::move(left), std::move(right));
    }
    --depth_;
    return left;
  }

  Result<Ptr> Comparison() {
    if (IsSymbol("!")) {
      KAPPA_RETURN_IF_ERROR(Advance());
      if (!IsSymbol("(") && !IsName("exists")) return Unexpected();
      KAPPA_ASSIGN_OR_RETURN(Ptr operand, Unary());
      if (!operand->is_predicate()) return Unexpected();
      return Make(Kind::kNot, std::move(operand));
    }
    KAPPA_ASSIGN_OR_RETURN(Ptr left, Sum());
    static constexpr std::array<std::pair<std::string_view, Kind>, 7> kOperators = {{{"==", Kind::kEqual},
                                                                                     {"!=", Kind::kNotEqual},
                                                                                     {"<>", Kind::kNotEqual},
                                                                                     {"<", Kind::kLess},
                                                                                     {"<=", Kind::kLessOrEqual},
                                                                                     {">", Kind::kGreater},
                                                                                     {">=", Kind::kGreaterOrEqual}}};
    for (const auto& [symbol, kind] : kOperators) {
      if (!IsSymbol(symbol)) continue;
      if (left->is_predicate()) return Unexpected();
      KAPPA_RETURN_IF_ERROR(Advance());
      KAPPA_ASSIGN_OR_RETURN(Ptr right, Sum());
      return Make(kind, std::move(left), std::move(right));
    }
    if (IsName("starts")) {
      KAPPA_RETURN_IF_ERROR(Advance());
      if (!IsName("with")) return Unexpected();
      KAPPA_RETURN_IF_ERROR(Advance());
      if (token_.type != Token::Type::kString && token_.type != Token::Type::kVariable) return Unexpected();
      KAPPA_ASSIGN_OR_RETURN(Ptr initial, Primary());
      return Make(Kind::kStartsWith, std::move(left), std::move(initial));
    }
    if (IsName("like_regex")) {
      KAPPA_RETURN_IF_ERROR(Advance());
      if (token_.type != Token::Type::kString) return Unexpected();
      Ptr node = Make(Kind::kLikeRegex, std::move(left));
      node->text = token_.text;
      KAPPA_RETURN_IF_ERROR(Advance());
      if (IsName("flag")) {
        KAPPA_RETURN_IF_ERROR(Advance());
        if (token_.type != Token::Type::kString) return Unexpected();
        for (const char flag : token_.text) {
          if (flag == 'x') return Error(sqlstate::kFeatureNotSupported, "XQuery \"x\" flag (expanded regular expressions) is not implemented");
          if (std::string_view("ismq").find(flag) == std::string_view::npos)
            return Error(sqlstate::kSyntaxError, "invalid input syntax for type jsonpath")
                .Detail(fmt::format("Unrecognized flag character \"{}\" in LIKE_REGEX predicate.", flag));
        }
        node->flags = token_.text;
        KAPPA_RETURN_IF_ERROR(Advance());
      }
      return node;
    }
    return left;
  }

  Result<Ptr> Sum() {
    KAPPA_ASSIGN_OR_RETURN(Ptr left, Product());
    while (IsSymbol("+") || IsSymbol("-")) {
      const Kind kind = IsSymbol("+") ? Kind::kAdd : Kind::kSubtract;
      if (left->is_predicate()) return Unexpected();
      KAPPA_RETURN_IF_ERROR(Advance());
      KAPPA_ASSIGN_OR_RETURN(Ptr right, Product());
      left = Make(kind, std::move(left), std::move(right));
    }
    return left;
  }
  Result<Ptr> Product() {
    KAPPA_ASSIGN_OR_RETURN(Ptr left, Unary());
    while (IsSymbol("*") || IsSymbol("/") || IsSymbol("%")) {
      const Kind kind = IsSymbol("*") ? Kind::kMultiply : IsSymbol("/") ? Kind::kDivide : Kind::kModulo;
      if (left->is_predicate()) return Unexpected();
      KAPPA_RETURN_IF_ERROR(Advance());
      KAPPA_ASSIGN_OR_RETURN(Ptr right, Unary());
      left = Make(kind, std::move(left), std::move(right));
    }
    return left;
  }
  Result<Ptr> Unary() {
    if (++depth_ > kDepthMax) return Error(sqlstate::kStatementTooComplex, "jsonpath is nested too deeply");
    if (IsSymbol("+") || IsSymbol("-")) {
      const Kind kind = IsSymbol("+") ? Kind::kPlus : Kind::kMinus;
      KAPPA_RETURN_IF_ERROR(Advance());
      KAPPA_ASSIGN_OR_RETURN(Ptr operand, Unary());
      --depth_;
      return Make(kind, std::move(operand));
    }
    KAPPA_ASSIGN_OR_RETURN(Ptr primary, Primary());
    KAPPA_RETURN_IF_ERROR(Accessors(*primary));
    if (primary->is_predicate() && IsName("is")) {
      KAPPA_RETURN_IF_ERROR(Advance());
      if (!IsName("unknown")) return Unexpected();
      KAPPA_RETURN_IF_ERROR(Advance());
      primary = Make(Kind::kIsUnknown, std::move(primary));
    }
    --depth_;
    return primary;
  }

  Result<Ptr> Primary() {
    Ptr node;
    if (token_.type == Token::Type::kString) {
      node = Make(Kind::kLiteral);
      data::AppendJsonQuoted(token_.text, node->text);
    } else if (token_.type == Token::Type::kNumber) {
      node = Make(Kind::kLiteral);
      KAPPA_ASSIGN_OR_RETURN(const data::Numeric number, data::Numeric::Parse(token_.text));
      node->text = number.ToString();
    } else if (token_.type == Token::Type::kVariable) {
      node = Make(Kind::kVariable);
      node->text = token_.text;
    } else if (IsSymbol("$")) {
      node = Make(Kind::kRoot);
    } else if (IsSymbol("@")) {
      if (filters_ == 0) return Error(sqlstate::kSyntaxError, "@ is not allowed in root expressions");
      node = Make(Kind::kCurrent);
    } else if (IsName("true") || IsName("false") || IsName("null")) {
      node = Make(Kind::kLiteral);
      node->text = token_.text;
    } else if (IsName("last")) {
      if (subscripts_ == 0) return Error(sqlstate::kSyntaxError, "LAST is allowed only in array subscripts");
      node = Make(Kind::kLast);
    } else if (IsName("exists")) {
      KAPPA_RETURN_IF_ERROR(Advance());
      KAPPA_RETURN_IF_ERROR(Expect("("));
      KAPPA_ASSIGN_OR_RETURN(Ptr operand, Sum());
      KAPPA_RETURN_IF_ERROR(Expect(")"));
      return Make(Kind::kExists, std::move(operand));
    } else if (IsSymbol("(")) {
      KAPPA_RETURN_IF_ERROR(Advance());
      KAPPA_ASSIGN_OR_RETURN(node, Or());
      KAPPA_RETURN_IF_ERROR(Expect(")"));
      return node;
    } else {
      return Unexpected();
    }
    KAPPA_RETURN_IF_ERROR(Advance());
    return node;
  }

  /// Steps behind a primary, chained to it.
  Status Accessors(Node& primary) {
    Node* end = &primary;
    while (end->next) end = end->next.get();
    while (IsSymbol(".") || IsSymbol("[") || IsSymbol("?")) {
      Ptr step;
      if (IsSymbol(".")) {
        KAPPA_ASSIGN_OR_RETURN(step, Member());
      } else if (IsSymbol("[")) {
        KAPPA_ASSIGN_OR_RETURN(step, Brackets());
      } else {
        KAPPA_ASSIGN_OR_RETURN(step, Filter());
      }
      end->next = std::move(step);
      end = end->next.get();
    }
    return {};
  }
  Result<Ptr> Member() {
    KAPPA_RETURN_IF_ERROR(Advance());
    if (IsSymbol("*")) {
      KAPPA_RETURN_IF_ERROR(Advance());
      return Make(Kind::kAnyKey);
    }
    if (IsSymbol("**")) return Levels();
    if (token_.type != Token::Type::kName && token_.type != Token::Type::kString) return Unexpected();
    const bool name = token_.type == Token::Type::kName;
    const std::string key = token_.text;
    KAPPA_RETURN_IF_ERROR(Advance());
    if (name && IsSymbol("(")) {
      static constexpr std::array<std::pair<std::string_view, Kind>, 8> kMethods = {{{"type", Kind::kType},
                                                                                     {"size", Kind::kSize},
                                                                                     {"double", Kind::kDouble},
                                                                                     {"ceiling", Kind::kCeiling},
                                                                                     {"floor", Kind::kFloor},
                                                                                     {"abs", Kind::kAbs},
                                                                                     {"keyvalue", Kind::kKeyValue},
                                                                                     {"datetime", Kind::kDatetime}}};
      for (const auto& [method, kind] : kMethods) {
        if (key != method) continue;
        KAPPA_RETURN_IF_ERROR(Advance());
        Ptr node = Make(kind);
        if (kind == Kind::kDatetime && token_.type == Token::Type::kString) {
          node->templated = true;
          node->text = token_.text;
          KAPPA_RETURN_IF_ERROR(Advance());
        }
        KAPPA_RETURN_IF_ERROR(Expect(")"));
        return node;
      }
      return Unexpected();
    }
    Ptr node = Make(Kind::kKey);
    node->text = key;
    return node;
  }
  Result<int64_t> Level() {
    if (IsName("last")) {
      KAPPA_RETURN_IF_ERROR(Advance());
      return int64_t{-1};
    }
    if (token_.type != Token::Type::kNumber) return Unexpected();
    KAPPA_ASSIGN_OR_RETURN(const data::Numeric number, data::Numeric::Parse(token_.text));
    KAPPA_ASSIGN_OR_RETURN(const int32_t level, number.ToInt4());
    KAPPA_RETURN_IF_ERROR(Advance());
    return int64_t{level};
  }
  Result<Ptr> Levels() {
    KAPPA_RETURN_IF_ERROR(Advance());
    Ptr node = Make(Kind::kAny);
    node->first = 0;
    node->last = -1;
    if (!IsSymbol("{")) return node;
    KAPPA_RETURN_IF_ERROR(Advance());
    KAPPA_ASSIGN_OR_RETURN(node->first, Level());
    node->last = node->first;
    if (IsName("to")) {
      KAPPA_RETURN_IF_ERROR(Advance());
      KAPPA_ASSIGN_OR_RETURN(node->last, Level());
    }
    KAPPA_RETURN_IF_ERROR(Expect("}"));
    return node;
  }
  Result<Ptr> Brackets() {
    KAPPA_RETURN_IF_ERROR(Advance());
    if (IsSymbol("*")) {
      KAPPA_RETURN_IF_ERROR(Advance());
      KAPPA_RETURN_IF_ERROR(Expect("]"));
      return Make(Kind::kElements);
    }
    Ptr node = Make(Kind::kSubscripts);
    ++subscripts_;
    while (true) {
      KAPPA_ASSIGN_OR_RETURN(Ptr from, Sum());
      Ptr to;
      if (IsName("to")) {
        KAPPA_RETURN_IF_ERROR(Advance());
        KAPPA_ASSIGN_OR_RETURN(to, Sum());
      }
      node->subscripts.emplace_back(std::move(from), std::move(to));
      KAPPA_ASSIGN_OR_RETURN(const bool more, Take(","));
      if (!more) break;
    }
    --subscripts_;
    KAPPA_RETURN_IF_ERROR(Expect("]"));
    return node;
  }
  Result<Ptr> Filter() {
    KAPPA_RETURN_IF_ERROR(Advance());
    KAPPA_RETURN_IF_ERROR(Expect("("));
    ++filters_;
    KAPPA_ASSIGN_OR_RETURN(Ptr condition, Or());
    --filters_;
    if (!condition->is_predicate()) return Unexpected();
    KAPPA_RETURN_IF_ERROR(Expect(")"));
    return Make(Kind::kFilter, std::move(condition));
  }

  std::string_view text_;
  size_t at_ = 0;
  Token token_;
  int filters_ = 0, subscripts_ = 0, depth_ = 0;
};

}  // namespace

Result<std::shared_ptr<const JsonPath>> ParseJsonPath(std::string_view text) { return Parser(text).Path(); }

}  // namespace kappa::expr

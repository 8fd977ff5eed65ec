// A parsed statement: libpg_query's tree with positions in the user's text. Internal to sql/.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "sql/statement.h"

struct ProtobufCMessage;
struct PgQuery__Node;
struct PgQuery__ParseResult;

namespace kappa::sql {

/// Owns the tree of one statement.
class ParseTree {
 public:
  /// Fails with syntax_error at the user's position.
  static Result<ParseTree> Parse(const RawStatement& statement);

  const PgQuery__Node& root() const { return *root_; }
  const RawStatement& statement() const { return *statement_; }
  /// 1-based character position in the user's whole text of a byte location of the tree; 0 for unknown (-1).
  int Position(int location) const;
  /// Position of the first unquoted `word` that no dot precedes; 0 when there is none.
  int PositionOfWord(std::string_view word) const;

 private:
  struct Deleter {
    void operator()(PgQuery__ParseResult* result) const;
  };

  const RawStatement* statement_ = nullptr;  // borrowed: outlives the tree
  std::unique_ptr<PgQuery__ParseResult, Deleter> result_;
  const PgQuery__Node* root_ = nullptr;
};

/// Fails with feature_not_supported when a field of `message` that is not in `known` is set: a clause that kappa does not
/// know must never be ignored. `what` names the statement or clause: "SELECT".
Status RefuseOtherFields(const ProtobufCMessage& message, std::initializer_list<std::string_view> known, std::string_view what, int position);

/// Calls `visit` with each message that `message` holds, and the name of its field; stops at the first error.
Status VisitChildren(const ProtobufCMessage& message, const std::function<Status(std::string_view field, const ProtobufCMessage& child)>& visit);

/// "CREATE INDEX" for a node of statement kind IndexStmt: what to call it in an error.
std::string StatementName(const PgQuery__Node& node);

}  // namespace kappa::sql

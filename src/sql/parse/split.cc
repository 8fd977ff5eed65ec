// The token pre-pass: splits a text into statements and rewrites the streaming words that PostgreSQL's grammar lacks into
// what it takes, keeping a map of positions.
#include <algorithm>
#include <span>

#include "sql/parse/tokens.h"
#include "sql/statement.h"

namespace kappa::sql {
namespace {

/// Replacements in a source text, ascending and not overlapping.
class Edits {
 public:
  void Replace(int from, int to, std::string text) { edits_.push_back({from, to, std::move(text)}); }

  void Apply(RawStatement& statement) {
    std::stable_sort(edits_.begin(), edits_.end(), [](const Edit& a, const Edit& b) { return a.from < b.from; });
    int at = 0;
    statement.offsets = {{0, 0}};
    for (const Edit& edit : edits_) {
      statement.text.append(statement.source, static_cast<size_t>(at), static_cast<size_t>(edit.from - at));
      statement.offsets.emplace_back(static_cast<int>(statement.text.size()), edit.from);
      statement.text += edit.text;
      statement.offsets.emplace_back(static_cast<int>(statement.text.size()), edit.to);
      at = edit.to;
    }
    statement.text.append(statement.source, static_cast<size_t>(at));
  }

 private:
  struct Edit {
    int from, to;
    std::string text;
  };
  std::vector<Edit> edits_;
};

/// Rewrites one statement. Token offsets are relative to the statement's source.
class PrePass {
 public:
  PrePass(RawStatement& statement, std::vector<Token> tokens) : statement_(statement), tokens_(std::move(tokens)) {}

  Status Run() {
    KAPPA_RETURN_IF_ERROR(CheckDepth());
    KAPPA_RETURN_IF_ERROR(RefuseForeignWords());
    KAPPA_RETURN_IF_ERROR(TakeEmit());
    RewriteSessions();
    KAPPA_RETURN_IF_ERROR(RewriteAsOfJoins());
    KAPPA_RETURN_IF_ERROR(RewriteSystemTimes());
    if (Is(0, "create")) {
      KAPPA_RETURN_IF_ERROR(RewriteCreate());
    } else if (Is(0, "explain")) {
      KAPPA_RETURN_IF_ERROR(RewriteExplain());
    } else if (Is(0, "alter")) {
      KAPPA_RETURN_IF_ERROR(RewriteAlter());
    } else if (Is(0, "drop") && (Is(1, "stream") || Is(1, "source"))) {
      statement_.stream = true;
      ReplaceToken(1, "FOREIGN TABLE");  // the parser has no such word, and kappa no foreign tables
    } else if (Is(0, "show")) {
      KAPPA_RETURN_IF_ERROR(RewriteShow());
    }
    edits_.Apply(statement_);
    return {};
  }

 private:
  bool Is(size_t i, std::string_view word) const { return i < tokens_.size() && tokens_[i].Is(word); }
  void ReplaceToken(size_t i, std::string text) { edits_.Replace(tokens_[i].start, tokens_[i].end, std::move(text)); }
  /// Takes tokens [from, to) out.
  void Remove(size_t from, size_t to) { edits_.Replace(tokens_[from].start, tokens_[to - 1].end, ""); }
  int PositionOf(size_t i) const {
    const int at = i < tokens_.size() ? tokens_[i].start : static_cast<int>(statement_.source.size());
    return statement_.offset + CountCharacters(statement_.source, at) + 1;
  }
  Error Unsupported(size_t i, std::string what, std::string hint) const {
    return Error(sqlstate::kFeatureNotSupported, std::move(what) + " is not supported").Hint(std::move(hint)).At(PositionOf(i));
  }
  Error SyntaxAt(size_t i) const {
    if (i >= tokens_.size()) return Error(sqlstate::kSyntaxError, "syntax error at end of input").At(PositionOf(i));
    const Token& token = tokens_[i];
    return Error(sqlstate::kSyntaxError,
                 "syntax error at or near \"" +
                     statement_.source.substr(static_cast<size_t>(token.start), static_cast<size_t>(token.end - token.start)) + "\"")
        .At(PositionOf(i));
  }

  /// Bounds the depth of the tree that the parser will build before its recursion meets it. Chains of AND and OR are flat in
  /// the tree, so they and commas start anew; joins and set operations add up within their parentheses.
  Status CheckDepth() const {
    struct Level {
      int structure = 0;
      int operators = 0;
    };
    std::vector<Level> open(1);
    int below = 0;  // depth of the levels around the current one
    for (size_t i = 0; i < tokens_.size(); ++i) {
      const Token& token = tokens_[i];
      Level& level = open.back();
      if (token.Is("(") || token.Is("[") || token.Is("case")) {
        below += level.structure + level.operators + 1;
        open.emplace_back();
      } else if ((token.Is(")") || token.Is("]") || token.Is("end")) && open.size() > 1) {
        open.pop_back();
        below -= open.back().structure + open.back().operators + 1;
      } else if (token.Is(",") || token.Is("and") || token.Is("or") || token.Is("select") || token.Is("from") || token.Is("where") ||
                 token.Is("when") || token.Is("then")) {
        level.operators = 0;
      } else if (token.Is("join") || token.Is("union") || token.Is("intersect") || token.Is("except")) {
        ++level.structure;
      } else if (token.kind == Token::Kind::kSymbol
                     ? !token.Is(".")
                     : token.Is("not") || token.Is("is") || token.Is("isnull") || token.Is("notnull") || token.Is("collate") || token.Is("at") ||
                           token.Is("like") || token.Is("ilike") || token.Is("in") || token.Is("explain") || token.Is("operator")) {
        ++level.operators;
      }
      if (below + open.back().structure + open.back().operators > kDepthMax)
        return Error(sqlstate::kStatementTooComplex, "statement is nested too deeply")
            .Hint("At most " + std::to_string(kDepthMax) + " levels of parentheses and chained operators are allowed.")
            .At(PositionOf(i));
    }
    return {};
  }

  /// Words of other streaming dialects that PostgreSQL's grammar would read as something else, or not name in its error.
  Status RefuseForeignWords() const {
    if (Is(0, "subscribe")) return Unsupported(0, "SUBSCRIBE", "Follow a view's changes over HTTP: GET /v1/views/NAME/changes.");
    for (size_t i = 0; i < tokens_.size(); ++i) {
      const bool qualified = (i > 0 && Is(i - 1, ".")) || Is(i + 1, ".");
      if (tokens_[i].kind != Token::Kind::kWord || qualified) continue;
      const bool join_follows =
          Is(i + 1, "join") || ((Is(i + 1, "left") || Is(i + 1, "inner") || Is(i + 1, "right")) && (Is(i + 2, "join") || Is(i + 3, "join")));
      if ((Is(i, "semi") || Is(i, "anti")) && join_follows) {
        const std::string kind = Is(i, "semi") ? "SEMI JOIN" : "ANTI JOIN";
        return Unsupported(i, kind, "Use EXISTS or NOT EXISTS in WHERE.");
      }
      if (Is(i, "latest") && join_follows) return Unsupported(i, "LATEST JOIN", "Join on equality with a table.");
      if (Is(i, "match_recognize") && Is(i + 1, "(")) return Unsupported(i, "MATCH_RECOGNIZE", "Row patterns are not part of the language.");
      if (Is(i, "system_time") && i > 0 && Is(i - 1, "for") && !(Is(i + 1, "as") && Is(i + 2, "of")))
        return Unsupported(i - 1, "this form of FOR SYSTEM_TIME", "Write JOIN versions FOR SYSTEM_TIME AS OF s.ts ON ..");
    }
    return {};
  }

  Status TakeEmit() {
    const size_t n = tokens_.size();
    size_t from = 0;
    if (n >= 5 && Is(n - 4, "emit") && Is(n - 3, "on") && Is(n - 2, "window") && Is(n - 1, "close")) {
      statement_.emit = Emit::kOnWindowClose;
      from = n - 4;
    } else if (n >= 3 && Is(n - 2, "emit") && Is(n - 1, "changes")) {
      statement_.emit = Emit::kChanges;
      from = n - 2;
    } else {
      for (size_t i = 1; i + 1 < n; ++i) {
        const bool alias = Is(i - 1, "as") || Is(i - 1, ".");
        if (Is(i, "emit") && !alias && (Is(i + 1, "on") || Is(i + 1, "changes") || Is(i + 1, "after") || Is(i + 1, "final")))
          return Unsupported(i, "this form of EMIT", "Write EMIT ON WINDOW CLOSE or EMIT CHANGES at the end of the query.");
      }
      return {};
    }
    statement_.emit_at = tokens_[from].start;
    Remove(from, n);
    tokens_.resize(from);
    return {};
  }

  /// SESSION(t PARTITION BY k, .., ts, gap) becomes SESSION(t, partition_by => k, .., ts, gap).
  void RewriteSessions() {
    for (size_t i = 0; i + 1 < tokens_.size(); ++i) {
      if (!Is(i, "session") || !Is(i + 1, "(")) continue;
      int depth = 0;
      for (size_t k = i + 1; k + 2 < tokens_.size(); ++k) {
        if (Is(k, "(")) ++depth;
        if (Is(k, ")") && --depth == 0) break;
        if (depth != 1 || !Is(k, "partition") || !Is(k + 1, "by")) continue;
        edits_.Replace(tokens_[k].start, tokens_[k + 1].end, ", partition_by =>");
        break;
      }
    }
  }

  bool IsJoinWord(size_t i) const {
    return Is(i, "join") || Is(i, "left") || Is(i, "right") || Is(i, "full") || Is(i, "inner") || Is(i, "outer") || Is(i, "cross") ||
           Is(i, "natural");
  }

  /// a [LEFT] ASOF [LEFT] JOIN b [MATCH_CONDITION (m)] ON c becomes a [LEFT] JOIN b ON asof() AND [(m) AND] c, which the binder reads back.
  Status RewriteAsOfJoins() {
    for (size_t i = 1; i + 1 < tokens_.size(); ++i) {
      if (tokens_[i].kind != Token::Kind::kWord || !Is(i, "asof") || Is(i - 1, ".") || Is(i - 1, "as")) continue;
      size_t join = i + 1;
      while (IsJoinWord(join) && !Is(join, "join")) ++join;
      if (!Is(join, "join")) continue;
      ReplaceToken(i, "");
      // The ON of this join comes after those of the joins that begin after it.
      int depth = 0, open = 1;
      size_t match = 0, at = join + 1;
      for (; at < tokens_.size() && depth >= 0; ++at) {
        if (Is(at, "(") || Is(at, "[")) ++depth;
        if (Is(at, ")") || Is(at, "]")) --depth;
        if (depth != 0) continue;
        if (open == 1 && match == 0 && Is(at, "match_condition") && Is(at + 1, "(")) match = at;
        if (Is(at, "join") && !Is(at - 1, "cross") && !Is(at - 1, "natural") && !Is(at - 2, "natural")) ++open;
        if (Is(at, "where") || Is(at, "group") || Is(at, "order") || Is(at, "union") || Is(at, ",") || Is(at, ";")) break;
        if ((Is(at, "on") || Is(at, "using")) && --open == 0) break;
      }
      if (open == 0 && Is(at, "using")) return Unsupported(at, "USING in an ASOF JOIN", "Write ON l.key = r.key AND l.ts >= r.ts.");
      if (open != 0)
        return Error(sqlstate::kSyntaxError, "an ASOF JOIN needs a condition").Hint("Write ON l.key = r.key AND l.ts >= r.ts.").At(PositionOf(i));
      if (match != 0) {
        ReplaceToken(match, "ON asof() AND");
        ReplaceToken(at, "AND");
      } else {
        ReplaceToken(at, "ON asof() AND");
      }
    }
    return {};
  }

  /// t FOR SYSTEM_TIME AS OF s.ts AS v becomes t AS v TABLESAMPLE system_time(s.ts).
  Status RewriteSystemTimes() {
    for (size_t i = 1; i + 3 < tokens_.size(); ++i) {
      if (!Is(i, "for") || !Is(i + 1, "system_time") || !Is(i + 2, "as") || !Is(i + 3, "of")) continue;
      const size_t from = i + 4;
      size_t to = from;  // the end of a column, a call, or an expression in parentheses
      if (to < tokens_.size() && !Is(to, "(")) {
        ++to;
        while (Is(to, ".") && to + 1 < tokens_.size()) to += 2;
      }
      if (Is(to, "(")) {
        int depth = 0;
        do {
          if (Is(to, "(")) ++depth;
          if (Is(to, ")")) --depth;
          ++to;
        } while (to < tokens_.size() && depth > 0);
      }
      if (to == from || to > tokens_.size()) return SyntaxAt(from);
      const auto is_name = [&](size_t k) {
        if (k >= tokens_.size()) return false;
        if (tokens_[k].kind == Token::Kind::kQuoted) return true;
        return tokens_[k].kind == Token::Kind::kWord && !IsJoinWord(k) && !Is(k, "on") && !Is(k, "using") && !Is(k, "where") && !Is(k, "group") &&
               !Is(k, "order") && !Is(k, "having") && !Is(k, "limit") && !Is(k, "union") && !Is(k, "asof") && !Is(k, "window") && !Is(k, "for");
      };
      size_t alias = to;
      if (Is(alias, "as") && is_name(alias + 1)) alias += 2;
      else if (is_name(alias)) ++alias;
      std::string name;
      if (alias > to) {
        name =
            statement_.source.substr(static_cast<size_t>(tokens_[to].start), static_cast<size_t>(tokens_[alias - 1].end - tokens_[to].start)) + " ";
        Remove(to, alias);
      }
      edits_.Replace(tokens_[i].start, tokens_[i + 3].end, name + "TABLESAMPLE system_time(");
      edits_.Replace(tokens_[to - 1].end, tokens_[to - 1].end, ")");
      i = alias - 1;
    }
    return {};
  }

  Status RewriteCreate() {
    if (Is(1, "stream") || Is(1, "source")) {
      statement_.stream = true;
      ReplaceToken(1, "TABLE");
      return RewriteWatermark();
    }
    if (Is(1, "table")) return RewriteWatermark();
    if (Is(1, "sink")) return Unsupported(1, "CREATE SINK", "Follow a view's changes over HTTP, or read it with SELECT.");
    if (Is(1, "connection") || Is(1, "secret"))
      return Unsupported(1, Is(1, "secret") ? "CREATE SECRET" : "CREATE CONNECTION", "Produce to the topic of a stream instead.");
    if (Is(1, "or") && Is(2, "replace") && Is(3, "materialized")) {
      statement_.or_replace = true;
      Remove(1, 3);
      FindQuery(4);
    } else if (Is(1, "materialized")) {
      FindQuery(2);
    }
    return {};
  }

  /// The defining query starts after the first AS outside of parentheses.
  void FindQuery(size_t from) {
    int depth = 0;
    for (size_t i = from; i + 1 < tokens_.size(); ++i) {
      if (Is(i, "(")) ++depth;
      if (Is(i, ")")) --depth;
      if (depth == 0 && Is(i, "as")) {
        statement_.query_at = tokens_[i + 1].start;
        return;
      }
    }
  }

  /// WATERMARK FOR ts AS expr becomes CONSTRAINT watermark CHECK (ts > (expr)), which the binder reads back.
  Status RewriteWatermark() {
    int depth = 0;
    for (size_t i = 2; i < tokens_.size(); ++i) {
      if (Is(i, "(")) ++depth;
      if (Is(i, ")")) --depth;
      if (depth != 1 || !Is(i, "watermark") || !(Is(i - 1, ",") || Is(i - 1, "(")) || !Is(i + 1, "for")) continue;
      size_t as = i + 2;
      while (as < tokens_.size() && !Is(as, "as") && !Is(as, ",") && !Is(as, ")")) ++as;
      if (!Is(as, "as") || as == i + 2) return SyntaxAt(std::min(as, tokens_.size()));
      size_t end = as + 1;
      for (int inner = 0; end < tokens_.size(); ++end) {
        if (inner == 0 && (Is(end, ",") || Is(end, ")"))) break;
        if (Is(end, "(")) ++inner;
        if (Is(end, ")")) --inner;
      }
      if (end == as + 1 || end >= tokens_.size()) return SyntaxAt(end);
      edits_.Replace(tokens_[i].start, tokens_[i + 1].end, "CONSTRAINT watermark CHECK (");
      ReplaceToken(as, "> (");
      edits_.Replace(tokens_[end - 1].end, tokens_[end - 1].end, "))");
      i = end - 1;
    }
    return {};
  }

  Status RewriteExplain() {
    size_t i = 1;
    if (Is(i, "(")) {
      while (i < tokens_.size() && !Is(i, ")")) ++i;
      ++i;
    }
    while (Is(i, "analyze") || Is(i, "verbose")) ++i;
    if (Is(i, "materialized") && Is(i + 1, "view")) {
      statement_.explain_view = true;
      edits_.Replace(tokens_[i].start, tokens_[i + 1].end, "TABLE");
    } else if (Is(i, "create") && Is(i + 1, "or") && Is(i + 2, "replace") && Is(i + 3, "materialized")) {
      statement_.or_replace = true;
      Remove(i + 1, i + 3);
      FindQuery(i + 4);
    } else if (Is(i, "create")) {
      FindQuery(i + 1);
    }
    return {};
  }

  /// PROMOTE VERSION n, RETIRE VERSION n and ROLLBACK become SET (promote = n), SET (retire = n), SET (rollback = 0).
  Status RewriteAlter() {
    if (!(Is(1, "materialized") && Is(2, "view"))) return {};
    const size_t n = tokens_.size();
    if (n > 4 && Is(n - 1, "rollback")) {
      ReplaceToken(n - 1, "SET (rollback = 0)");
      return {};
    }
    for (size_t i = 4; i < n; ++i) {
      if (!(Is(i, "promote") || Is(i, "retire")) || Is(i - 1, "(") || Is(i - 1, ",")) continue;
      if (!Is(i + 1, "version")) return SyntaxAt(i + 1);
      if (i + 2 >= n || tokens_[i + 2].kind != Token::Kind::kNumber) return SyntaxAt(i + 2);
      if (i + 3 != n) return SyntaxAt(i + 3);
      edits_.Replace(tokens_[i].start, tokens_[i + 1].end, "SET (" + tokens_[i].word + " =");
      edits_.Replace(tokens_[i + 2].end, tokens_[i + 2].end, ")");
      return {};
    }
    return {};
  }

  Status RewriteShow() {
    if (Is(1, "create")) return Unsupported(1, "SHOW CREATE", "Read the sql column of kappa.streams or kappa.versions.");
    if (Is(1, "materialized") && Is(2, "views")) edits_.Replace(tokens_[1].start, tokens_[2].end, "views");
    return {};
  }

  RawStatement& statement_;
  std::vector<Token> tokens_;
  Edits edits_;
};

}  // namespace

Result<std::vector<RawStatement>> SplitStatements(std::string_view text) {
  const std::string whole(text);
  KAPPA_ASSIGN_OR_RETURN(const std::vector<Token> tokens, ScanTokens(whole));
  std::vector<RawStatement> statements;
  int characters = 0, counted = 0;  // characters in the first `counted` bytes, so that long texts are counted once
  for (size_t from = 0; from < tokens.size();) {
    size_t to = from;
    for (int depth = 0; to < tokens.size(); ++to) {
      if (tokens[to].Is("(")) ++depth;
      if (tokens[to].Is(")")) --depth;
      if (tokens[to].Is(";") && depth <= 0) break;
    }
    if (to > from) {
      const int start = tokens[from].start;
      characters += CountCharacters(std::string_view(whole).substr(static_cast<size_t>(counted)), start - counted);
      counted = start;
      RawStatement statement;
      statement.source = whole.substr(static_cast<size_t>(start), static_cast<size_t>(tokens[to - 1].end - start));
      statement.offset = characters;
      std::vector<Token> own(tokens.begin() + static_cast<ptrdiff_t>(from), tokens.begin() + static_cast<ptrdiff_t>(to));
      for (Token& token : own) {
        token.start -= start;
        token.end -= start;
      }
      KAPPA_RETURN_IF_ERROR(PrePass(statement, std::move(own)).Run());
      statements.push_back(std::move(statement));
    }
    from = to + 1;
  }
  return statements;
}

}  // namespace kappa::sql

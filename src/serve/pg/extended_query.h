// ExtendedQuery: prepared statements and portals of one connection, and the messages that work on them.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "serve/pg/frontend_message.h"
#include "serve/pg/result_sender.h"
#include "serve/pg/server.h"

namespace kappa::serve::pg {

class ExtendedQuery {
 public:
  ExtendedQuery(engine::Session& session, ResultSender& sender, Client& client, const PgServerOptions& options)
      : session_(session), sender_(sender), client_(client), options_(options) {}

  Status Parse(const ParseMessage& message);
  Status Bind(const BindMessage& message);
  Status Describe(const DescribeMessage& message);
  /// `tag` receives the tag of a statement that was completed, `text` its source.
  Status Execute(const ExecuteMessage& message, std::string& tag, std::string& text);
  void Close(const CloseMessage& message);

  /// A simple query ends the unnamed statement and portal.
  void DropUnnamed();
  /// Portals end with their transaction.
  void DropPortals() { portals_.clear(); }
  /// DEALLOCATE name, DEALLOCATE ALL, DISCARD ALL reach here as SQL.
  void Deallocate(std::string_view name) { statements_.erase(std::string(name)); }
  void DeallocateAll() { statements_.clear(); }
  /// A setting changed: texts are bound anew when they are next parsed.
  void ForgetParsed() { parsed_.clear(); }

 private:
  struct Statement {
    std::string text;
    std::vector<data::Type> declared;  // by the client; kUnknown where not
    std::shared_ptr<engine::Prepared> prepared;
  };
  using StatementPtr = std::shared_ptr<const Statement>;
  struct Portal {
    StatementPtr statement;
    std::vector<data::Value> parameters;
    std::vector<int16_t> formats;  // one per column
    std::optional<engine::QueryResult> result;
    RowCursor cursor;
    bool complete = false;
  };

  Result<StatementPtr> FindStatement(std::string_view name) const;
  Result<StatementPtr> Prepare(std::string_view text, const std::vector<uint32_t>& oids);
  Result<std::vector<data::Value>> Parameters(const Statement& statement, const BindMessage& message) const;

  engine::Session& session_;
  ResultSender& sender_;
  Client& client_;
  const PgServerOptions& options_;
  std::map<std::string, StatementPtr, std::less<>> statements_;  // "" is the unnamed one
  std::map<std::string, Portal, std::less<>> portals_;
  // Clients send the same text as an unnamed statement again and again: it is parsed once. Key: text, then the oids.
  std::map<std::string, StatementPtr, std::less<>> parsed_;
};

}  // namespace kappa::serve::pg

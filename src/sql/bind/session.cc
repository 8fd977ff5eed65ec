// Statements about the session: SHOW, SET, transactions, DISCARD, DEALLOCATE.
#include "sql/bind/nodes.h"

namespace kappa::sql {
namespace {

/// A setting's value as text; false when it is not a constant.
bool SettingText(const PgQuery__Node& node, std::string& text) {
  if (node.node_case != PG_QUERY__NODE__NODE_A_CONST) return false;
  const PgQuery__AConst& constant = *node.a_const;
  switch (constant.val_case) {
    case PG_QUERY__A__CONST__VAL_IVAL: text = std::to_string(constant.ival->ival); return true;
    case PG_QUERY__A__CONST__VAL_FVAL: text = constant.fval->fval; return true;
    case PG_QUERY__A__CONST__VAL_SVAL: text = constant.sval->sval; return true;
    case PG_QUERY__A__CONST__VAL_BOOLVAL: text = constant.boolval->boolval ? "on" : "off"; return true;
    default: return false;
  }
}

}  // namespace

Result<BoundStatement> Binder::Set(const PgQuery__VariableSetStmt& statement) {
  const int start = tree_.statement().offset + 1;
  SetStatement set;
  set.name = statement.name;
  set.local = statement.is_local != 0;
  switch (statement.kind) {
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE:
      for (size_t i = 0; i < statement.n_args; ++i) {
        std::string text;
        if (!SettingText(*statement.args[i], text)) return Unsupported("this value of SET", "Write a string, a number or a word.", start);
        set.value += (i == 0 ? "" : ", ") + text;
      }
      return BoundStatement(std::move(set));
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI: {
      // SET TRANSACTION .., SET SESSION CHARACTERISTICS AS TRANSACTION ..
      if (set.name == "TRANSACTION SNAPSHOT") return Unsupported("SET TRANSACTION SNAPSHOT", "", start);
      if (statement.n_args == 0 || statement.args[0]->node_case != PG_QUERY__NODE__NODE_DEF_ELEM) return BoundStatement(UtilityStatement{"SET", ""});
      const PgQuery__DefElem& option = *statement.args[0]->def_elem;
      const std::string prefix = set.name == "SESSION CHARACTERISTICS" ? "default_" : "";
      set.name = prefix + option.defname;
      if (option.arg != nullptr && !SettingText(*option.arg, set.value)) return Unsupported("this value of SET", "", start);
      return BoundStatement(std::move(set));
    }
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_DEFAULT:
    case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET: set.reset = true; return BoundStatement(std::move(set));
    case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL:
      set.name = "all";
      set.reset = true;
      return BoundStatement(std::move(set));
    default: return Unsupported("SET .. FROM CURRENT", "", start);
  }
}

Result<BoundStatement> Binder::Session(const PgQuery__Node& node) {
  const int start = tree_.statement().offset + 1;
  switch (node.node_case) {
    case PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT: {
      std::string name = node.variable_show_stmt->name;
      for (char& c : name)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      return BoundStatement(ShowStatement{std::move(name)});
    }
    case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT: return Set(*node.variable_set_stmt);
    case PG_QUERY__NODE__NODE_TRANSACTION_STMT: {
      const PgQuery__TransactionStmt& transaction = *node.transaction_stmt;
      if (transaction.chain) return Unsupported("AND CHAIN", "Write BEGIN after COMMIT.", start);
      switch (transaction.kind) {
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN:
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START: return BoundStatement(TransactionStatement{TransactionStatement::Kind::kBegin});
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT: return BoundStatement(TransactionStatement{TransactionStatement::Kind::kCommit});
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK: return BoundStatement(TransactionStatement{TransactionStatement::Kind::kRollback});
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT:
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE:
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO: return Unsupported("SAVEPOINT", "Statements take effect one by one.", start);
        default: return Unsupported("two-phase commit", "", start);
      }
    }
    case PG_QUERY__NODE__NODE_DISCARD_STMT:
      switch (node.discard_stmt->target) {
        case PG_QUERY__DISCARD_MODE__DISCARD_ALL: return BoundStatement(UtilityStatement{"DISCARD ALL", ""});
        case PG_QUERY__DISCARD_MODE__DISCARD_PLANS: return BoundStatement(UtilityStatement{"DISCARD PLANS", ""});
        case PG_QUERY__DISCARD_MODE__DISCARD_SEQUENCES: return BoundStatement(UtilityStatement{"DISCARD SEQUENCES", ""});
        default: return BoundStatement(UtilityStatement{"DISCARD TEMP", ""});
      }
    case PG_QUERY__NODE__NODE_DEALLOCATE_STMT: {
      const std::string name = node.deallocate_stmt->name;
      return BoundStatement(UtilityStatement{name.empty() ? "DEALLOCATE ALL" : "DEALLOCATE", name});
    }
    case PG_QUERY__NODE__NODE_CLOSE_PORTAL_STMT: {
      const std::string name = node.close_portal_stmt->portalname;
      if (!name.empty()) return Error(sqlstate::kInvalidCursorName, "cursor \"" + name + "\" does not exist").At(start);
      return BoundStatement(UtilityStatement{"CLOSE CURSOR ALL", ""});
    }
    case PG_QUERY__NODE__NODE_UNLISTEN_STMT: return BoundStatement(UtilityStatement{"UNLISTEN", ""});
    default: return Unsupported(StatementName(node), "docs/sql.md lists what the language has.", start);
  }
}

}  // namespace kappa::sql

// Hash join: symmetric, for inner, left, right, full, cross, semi and anti joins, with a residual condition and retractions. Without
// keys it is a nested loop over what both sides hold.
#include <absl/container/flat_hash_map.h>

#include <map>
#include <numeric>

#include "data/row_key.h"
#include "ops/factories.h"
#include "ops/held_rows.h"
#include "ops/join/decoded_side.h"
#include "ops/row_decoder.h"
#include "ops/row_multimap.h"

namespace kappa::ops {
namespace {

constexpr size_t kPairsMax = 65536;    // candidate pairs that are materialized at once
constexpr size_t kDecodedMax = 32768;  // rows of the other side that are decoded before they are joined; one key's rows go together

struct Side {
  Side(const plan::Node& input, std::vector<expr::ExprPtr> k, plan::Join::Expiry expires, bool alone, bool matched, bool residual)
      : schema(input.schema),
        keys(std::move(k)),
        preserved(alone),
        when_matched(matched),
        expiry(expires),
        map(arena, alone && residual                        ? RowMultimap::Layout::kIndexedWithMatches
                   : input.append_only && expiry.column < 0 ? RowMultimap::Layout::kAppendOnly
                                                            : RowMultimap::Layout::kIndexed),
        decoded(schema, keys) {}

  data::Schema schema;
  std::vector<expr::ExprPtr> keys;
  bool preserved;     // its rows are also emitted alone (with NULLs for the other side, if that is shown) ..
  bool when_matched;  // .. while they have a match (semi join); else while they have none
  bool ended = false;
  plan::Join::Expiry expiry;
  state::Arena arena;
  RowMultimap map;
  DecodedSide decoded;  // what is in the map
  /// Rows that came before any of the other side, where they may wait as columns: they are decoded when they have ended, without the map.
  HeldRows waiting{};
  std::map<int64_t, std::vector<state::Ref>> expiring;  // where rows expire: by the value of their column

  /// Drops the rows that the watermark is past.
  void Expire(const absl::flat_hash_map<uint32_t, int64_t>& watermarks) {
    const auto watermark = watermarks.find(expiry.stream);
    if (watermark == watermarks.end()) return;
    while (!expiring.empty()) {
      int64_t last = 0;  // time at which the other side may still hold a match
      if (__builtin_add_overflow(expiring.begin()->first, expiry.delay_us, &last)) last = expiry.delay_us > 0 ? INT64_MAX : INT64_MIN;
      if (last >= watermark->second) return;
      decoded.Forget();
      for (const state::Ref row : expiring.begin()->second) map.Erase(row);
      expiring.erase(expiring.begin());
    }
  }
  /// NULL meets nothing in a comparison of times.
  static int64_t ExpiryTime(const data::Column& column, int64_t row) { return column.IsNull(row) ? INT64_MIN : column.data<int64_t>()[row]; }
  void RestoreExpiring() {
    expiring.clear();
    if (expiry.column < 0) return;
    std::vector<state::Ref> refs;
    map.rows().ForEach([&](state::Ref row) { refs.push_back(row); });
    const int columns[] = {expiry.column};
    std::string scratch;
    for (size_t from = 0; from < refs.size(); from += kPairsMax) {
      RowDecoder decoder(schema, columns);
      const size_t to = std::min(refs.size(), from + kPairsMax);
      for (size_t i = from; i < to; ++i) decoder.Append(map.rows().Key(refs[i], scratch), /*borrow=*/false);
      const data::Batch times = decoder.Finish();
      for (size_t i = from; i < to; ++i) expiring[ExpiryTime(*times.columns[0], static_cast<int64_t>(i - from))].push_back(refs[i]);
    }
  }

  /// How often a row of this side is emitted alone. `weight` is that of its matches; it may be negative within an epoch.
  int64_t Alone(int64_t weight) const { return (weight > 0) == when_matched ? 1 : 0; }
};

data::ChangeBatch Weighted(data::Batch batch, std::vector<int64_t> weights) {
  data::ChangeBatch out(std::move(batch));
  if (std::any_of(weights.begin(), weights.end(), [](int64_t w) { return w != 1; })) {
    out.weights = std::make_shared<const std::vector<int64_t>>(std::move(weights));
  }
  return out;
}

// Input        two ports; changes of any weight, batches of the ports in any order.
// State        per side: every row with its count, by key; where rows never go they are not looked for again. With a residual, rows of a preserved side also carry the weight
//              of the rows that match them. Rows with a NULL key match nothing and are not kept.
// Watermark    passed by; state is kept for ever, except where the plan says when a row can meet no other any more (`expiry`): then
//              it goes with the watermark. Both inputs are append-only there, so nothing else takes rows away.
// Retractions  output = change of one side x rows of the other, weights multiplied (not for semi and anti joins); plus, for
//              preserved sides, the rows whose last match went or whose first match came. Every batch moves the output from the join of the old
//              contents to the join of the new, so the sum over an epoch is right in any order.
// Cost         one probe per row; a row of the other side is decoded once per batch and key. A bounded run is watched after
//              every kPairsMax pairs.
// Threads      one at a time.
class HashJoin final : public Operator {
 public:
  HashJoin(const plan::Join& node, const OperatorOptions& options)
      : pairs_(!node.left_only()),
        may_wait_(options.once && pairs_ && node.residual == nullptr && !node.left_keys.empty()),
        null_equal_(node.null_equal),
        residual_(node.residual),
        context_(options.context),
        watch_(options.watch) {
    null_equal_.resize(node.left_keys.size());
    const bool left = node.type == plan::JoinType::kLeft || node.type == plan::JoinType::kFull || node.left_only();
    const bool right = node.type == plan::JoinType::kRight || node.type == plan::JoinType::kFull;
    const bool semi = node.type == plan::JoinType::kSemi;
    sides_[0] = std::make_unique<Side>(*node.inputs[0], node.left_keys, node.left_expiry, left, semi, residual_ != nullptr);
    sides_[1] = std::make_unique<Side>(*node.inputs[1], node.right_keys, node.right_expiry, right, false, residual_ != nullptr);
  }

  Status OnBatch(int port, data::ChangeBatch batch, Output& out) override;
  Status OnEpochEnd(const EpochContext& epoch, Output&) override {
    for (auto& side : sides_)
      if (epoch.watermarks != nullptr && side->expiry.column >= 0) side->Expire(*epoch.watermarks);
    return {};
  }
  void OnInputEnd(int port) override { sides_[port]->ended = true; }
  void VisitState(const std::function<void(std::string_view, state::Arena&)>& visit) override {
    visit("left", sides_[0]->arena);
    visit("right", sides_[1]->arena);
  }
  Status OnRestored() override {
    for (auto& side : sides_) {
      KAPPA_RETURN_IF_ERROR(side->arena.CheckLoaded());
      KAPPA_RETURN_IF_ERROR(side->map.Attach());
      side->decoded.Forget();
      side->RestoreExpiring();
    }
    return {};
  }
  int64_t state_rows() const override { return sides_[0]->map.row_count() + sides_[1]->map.row_count(); }
  int64_t held_bytes() const override {
    return sides_[0]->decoded.memory_bytes() + sides_[1]->decoded.memory_bytes() + sides_[0]->waiting.bytes() + sides_[1]->waiting.bytes();
  }
  int64_t errors() const override { return context_.errors; }

 private:
  /// What one batch of side `port` (called a) meets on the other side (b). The rows of b are decoded for some rows of the batch
  /// at a time, [from, to) of `select`, so that keys with many rows do not bring all of them into memory at once.
  struct Probe {
    int port;
    const data::ChangeBatch& batch;
    std::vector<int32_t> select;  // rows of the batch with a key and a weight
    std::vector<state::Ref> b_keys;  // of select[j]; 0: no rows there
    size_t from = 0, to = 0;
    std::vector<DecodedRun> runs;  // of select[j]: its rows among the decoded
    std::vector<state::Ref> b_rows;  // decoded rows of b
    std::vector<int64_t> b_counts;
    data::Batch b;  // the same as columns
    std::span<const int64_t> counts;  // of these
    std::vector<int64_t> a_matches;  // of select[j], with a residual
    std::vector<int64_t> b_matches;  // change of the decoded rows' matches, with a residual
    std::vector<state::Ref> empty;  // rows of a whose count became 0
    int64_t weight(size_t j) const { return batch.weight(select[j]); }
  };

  bool MayWait(int port, const data::ChangeBatch& batch) const;
  Status TakeWaiting(int port, Output& out);
  Status Join(int port, const data::ChangeBatch& batch, Output& out);
  std::vector<int32_t> RowsWithKey(const data::ChangeBatch& batch, std::span<const data::ColumnPtr> keys, std::vector<int32_t>& without) const;
  void DecodeNext(Probe& probe, RowDecoder& decoder);
  void DecodeKey(RowDecoder& decoder, state::Ref key, Probe& probe, DecodedRun& run);
  Status JoinDecoded(Probe& probe, Output& out);
  Status EmitPartners(const Probe& probe, Output& out);
  Status EmitPairs(Probe& probe, std::span<const int32_t> positions, std::span<const int32_t> decoded, Output& out);
  Status JoinRows(Probe& probe, Output& out);
  void EmitBatchRows(int port, const data::ChangeBatch& batch, std::span<const int32_t> rows, Output& out);
  void EmitDecodedRows(const Probe& probe, std::span<const int32_t> decoded, std::vector<int64_t> weights, Output& out);
  void UpdateMatches(Probe& probe, Output& out);
  void EmitAlone(const Probe& probe, Output& out);
  Status Store(Probe& probe, const data::RowKeys& keys, Output& out);
  Status StoreAppended(Probe& probe, std::span<const state::Ref> key_refs);
  void StoreIndexed(Probe& probe, std::span<const state::Ref> key_refs);
  data::Batch Assemble(int port, data::Batch a, data::Batch b);

  std::unique_ptr<Side> sides_[2];
  bool pairs_;  // pairs of rows are emitted: not by semi and anti joins
  bool may_wait_;  // rows of a side that is not preserved, until others come
  std::vector<bool> null_equal_;
  expr::ExprPtr residual_;
  expr::EvalContext context_;
  std::function<Status(int64_t)> watch_;
};

data::Batch HashJoin::Assemble(int port, data::Batch a, data::Batch b) {
  data::Batch& left = port == 0 ? a : b;
  data::Batch& right = port == 0 ? b : a;
  std::move(right.columns.begin(), right.columns.end(), std::back_inserter(left.columns));
  return std::move(left);
}

data::Batch GatherBatch(const data::Batch& batch, std::span<const int32_t> rows) {
  // Every row meets one partner where a key is looked up: then the columns are shared.
  const auto is_whole = [&] {
    for (size_t i = 0; i < rows.size(); ++i)
      if (rows[i] != static_cast<int32_t>(i)) return false;
    return true;
  };
  if (static_cast<int64_t>(rows.size()) == batch.rows && is_whole()) return batch;
  data::Batch out;
  out.rows = static_cast<int64_t>(rows.size());
  for (const data::ColumnPtr& column : batch.columns) out.columns.push_back(data::Gather(*column, rows));
  return out;
}

data::Batch NullBatch(const data::Schema& schema, int64_t rows) {
  data::Batch out;
  out.rows = rows;
  for (const data::Field& field : schema.fields) out.columns.push_back(data::NullColumn(field.type, rows));
  return out;
}

Status HashJoin::OnBatch(int port, data::ChangeBatch batch, Output& out) {
  if (batch.rows == 0) return {};
  if (MayWait(port, batch)) {
    sides_[port]->waiting.Add(std::move(batch));
    return {};
  }
  may_wait_ = false;
  for (const int side : {port, 1 - port}) KAPPA_RETURN_IF_ERROR(TakeWaiting(side, out));
  return Join(port, batch, out);
}

/// True when the batch may be kept as it is: nothing came yet that it could meet, and what waits is still small.
bool HashJoin::MayWait(int port, const data::ChangeBatch& batch) const {
  const Side& a = *sides_[port];
  const Side& b = *sides_[1 - port];
  if (!may_wait_ || a.preserved || b.ended || !b.waiting.empty()) return false;
  if (batch.weights != nullptr && std::any_of(batch.weights->begin(), batch.weights->end(), [](int64_t weight) { return weight != 1; })) return false;
  return a.waiting.rows() + batch.rows <= DecodedSide::kRowsMax && a.waiting.bytes() + BytesWithStrings(batch.columns) <= DecodedSide::BytesMax();
}

/// What waited of the side is decoded as it is, if no more of it comes; else it goes into the map.
Status HashJoin::TakeWaiting(int port, Output& out) {
  Side& side = *sides_[port];
  if (side.waiting.empty()) return {};
  if (!side.ended) {
    for (const data::ChangeBatch& batch : side.waiting.Take()) KAPPA_RETURN_IF_ERROR(Join(port, batch, out));
    return {};
  }
  const data::ChangeBatch rows = side.waiting.TakeSum(/*append_only=*/true);
  KAPPA_ASSIGN_OR_RETURN(const std::vector<data::ColumnPtr> keys, expr::EvaluateAll(side.keys, rows.AsBatch(), context_));
  std::vector<int32_t> without_key;
  const std::vector<int32_t> select = RowsWithKey(rows, keys, without_key);
  side.decoded.Load(rows.AsBatch(), keys, select);
  return {};
}

/// Rows of a batch with a weight and a key; those with a weight alone go to `without`.
std::vector<int32_t> HashJoin::RowsWithKey(const data::ChangeBatch& batch, std::span<const data::ColumnPtr> keys,
                                           std::vector<int32_t>& without) const {
  std::vector<int32_t> select;
  select.reserve(static_cast<size_t>(batch.rows));
  bool nulls = false;
  for (size_t k = 0; k < keys.size(); ++k) nulls = nulls || (keys[k]->has_nulls() && !null_equal_[k]);
  for (int64_t i = 0; i < batch.rows; ++i) {
    if (batch.weight(i) == 0) continue;
    bool null = false;
    for (size_t k = 0; nulls && k < keys.size() && !null; ++k) null = keys[k]->IsNull(i) && !null_equal_[k];
    (null ? without : select).push_back(static_cast<int32_t>(i));
  }
  return select;
}

Status HashJoin::Join(int port, const data::ChangeBatch& batch, Output& out) {
  Side& a = *sides_[port];
  Side& b = *sides_[1 - port];
  KAPPA_ASSIGN_OR_RETURN(const std::vector<data::ColumnPtr> key_columns, expr::EvaluateAll(a.keys, batch.AsBatch(), context_));
  Probe probe{port, batch};
  std::vector<int32_t> without_key;
  probe.select = RowsWithKey(batch, key_columns, without_key);
  if (a.preserved && a.Alone(0) != 0) EmitBatchRows(port, batch, without_key, out);
  if (probe.select.empty()) return {};
  const bool serves = pairs_ && residual_ == nullptr && !b.preserved && b.decoded.Serves(b.map, probe.select.size());
  if (serves) {
    const bool by_number = b.decoded.is_by_number();
    std::optional<data::RowKeys> keys;
    if (!by_number || !b.ended) keys.emplace(key_columns, batch.rows);
    probe.runs.resize(probe.select.size());
    if (by_number) b.decoded.FindNumbers(*key_columns[0], probe.select, probe.runs.data());
    else b.decoded.Find(*keys, probe.select, probe.runs.data());
    KAPPA_RETURN_IF_ERROR(JoinDecoded(probe, out));
    return b.ended ? Status() : Store(probe, *keys, out);
  }
  const data::RowKeys keys(key_columns, batch.rows);
  probe.b_keys.resize(probe.select.size());
  b.map.keys().FindBatch(keys, probe.select, probe.b_keys.data());
  if (residual_ != nullptr) probe.a_matches.resize(probe.select.size());
  if (pairs_ || residual_ != nullptr) {
    probe.runs.resize(probe.select.size());
    RowDecoder decoder(b.schema);
    while (probe.to < probe.select.size()) {
      DecodeNext(probe, decoder);
      KAPPA_RETURN_IF_ERROR(JoinRows(probe, out));
      if (b.preserved && residual_ != nullptr) UpdateMatches(probe, out);
    }
  }
  if (a.preserved) EmitAlone(probe, out);
  // Rows are kept for those of the other side that are still to come, and to count how many each of its rows meets.
  return b.ended && !b.preserved ? Status() : Store(probe, keys, out);
}

/// Rows of the batch itself that are shown without a partner.
void HashJoin::EmitAlone(const Probe& probe, Output& out) {
  const Side& a = *sides_[probe.port];
  const Side& b = *sides_[1 - probe.port];
  const bool decoded = probe.b_keys.empty();
  const auto matches = [&](size_t j) -> int64_t {
    if (residual_ != nullptr) return probe.a_matches[j];
    if (decoded) return b.decoded.WeightOf(probe.runs[j]);
    return probe.b_keys[j] != 0 ? b.map.Key(probe.b_keys[j])->weight : 0;
  };
  std::vector<int32_t> alone;
  for (size_t j = 0; j < probe.select.size(); ++j)
    if (a.Alone(matches(j)) != 0) alone.push_back(probe.select[j]);
  EmitBatchRows(probe.port, probe.batch, alone, out);
}

/// All rows of the batch at once, where the rows of the other side lie as columns already and `probe.runs` says which they meet.
Status HashJoin::JoinDecoded(Probe& probe, Output& out) {
  const DecodedSide& decoded = sides_[1 - probe.port]->decoded;
  probe.to = probe.select.size();
  probe.b = decoded.rows();
  probe.counts = decoded.counts();
  if (decoded.is_unique() && probe.batch.weights == nullptr) KAPPA_RETURN_IF_ERROR(EmitPartners(probe, out));
  else KAPPA_RETURN_IF_ERROR(JoinRows(probe, out));
  if (sides_[probe.port]->preserved) EmitAlone(probe, out);
  return {};
}

/// Rows that meet one row or none, each counted once.
Status HashJoin::EmitPartners(const Probe& probe, Output& out) {
  std::vector<int32_t> rows(probe.select.size()), partners(probe.select.size());
  size_t count = 0;
  for (size_t j = 0; j < probe.select.size(); ++j) {
    rows[count] = probe.select[j];
    partners[count] = probe.runs[j].from;
    count += static_cast<size_t>(probe.runs[j].count);
  }
  rows.resize(count);
  partners.resize(count);
  if (count > 0) out.push_back(data::ChangeBatch(Assemble(probe.port, GatherBatch(probe.batch.AsBatch(), rows), GatherBatch(probe.b, partners))));
  return watch_ ? watch_(0) : Status();
}

/// Brings the rows of the keys that the next rows of the batch meet into columns, each key once.
void HashJoin::DecodeNext(Probe& probe, RowDecoder& decoder) {
  const Side& b = *sides_[1 - probe.port];
  absl::flat_hash_map<state::Ref, DecodedRun> known;
  probe.b_rows.clear();
  probe.b_counts.clear();
  probe.from = probe.to;
  for (; probe.to < probe.select.size() && probe.b_counts.size() < kDecodedMax; ++probe.to) {
    constexpr size_t kAhead = 8;
    if (const size_t ahead = probe.to + kAhead; ahead < probe.select.size() && probe.b_keys[ahead] != 0) b.map.FetchFirst(probe.b_keys[ahead]);
    if (probe.b_keys[probe.to] == 0) continue;
    auto [it, fresh] = known.try_emplace(probe.b_keys[probe.to]);
    if (fresh) DecodeKey(decoder, probe.b_keys[probe.to], probe, it->second);
    probe.runs[probe.to] = it->second;
  }
  probe.b = decoder.Finish();
  probe.counts = probe.b_counts;
  if (residual_ != nullptr) probe.b_matches.assign(probe.b_counts.size(), 0);
}

/// The rows of one key of the other side, appended to the decoded ones.
void HashJoin::DecodeKey(RowDecoder& decoder, state::Ref key, Probe& probe, DecodedRun& run) {
  run.from = static_cast<int32_t>(probe.b_counts.size());
  sides_[1 - probe.port]->map.ForEachOf(key, [&](std::string_view bytes, int64_t count, state::Ref row) {
    decoder.Append(bytes, /*borrow=*/false);
    probe.b_rows.push_back(row);
    probe.b_counts.push_back(count);
  });
  run.count = static_cast<int32_t>(probe.b_counts.size()) - run.from;
}

Status HashJoin::JoinRows(Probe& probe, Output& out) {
  std::vector<int32_t> positions, decoded;
  for (size_t j = probe.from; j < probe.to; ++j) {
    for (int32_t k = 0; k < probe.runs[j].count; ++k) {
      positions.push_back(static_cast<int32_t>(j));
      decoded.push_back(probe.runs[j].from + k);
      if (positions.size() == kPairsMax) {
        KAPPA_RETURN_IF_ERROR(EmitPairs(probe, positions, decoded, out));
        positions.clear();
        decoded.clear();
      }
    }
  }
  return positions.empty() ? Status() : EmitPairs(probe, positions, decoded, out);
}

Status HashJoin::EmitPairs(Probe& probe, std::span<const int32_t> positions, std::span<const int32_t> decoded, Output& out) {
  std::vector<int32_t> rows(positions.size());
  std::vector<int64_t> weights(positions.size());
  for (size_t p = 0; p < positions.size(); ++p) {
    rows[p] = probe.select[static_cast<size_t>(positions[p])];
    weights[p] = probe.weight(static_cast<size_t>(positions[p])) * probe.counts[static_cast<size_t>(decoded[p])];
  }
  data::Batch joined = Assemble(probe.port, GatherBatch(probe.batch.AsBatch(), rows), GatherBatch(probe.b, decoded));
  if (residual_ != nullptr) {
    KAPPA_ASSIGN_OR_RETURN(std::vector<int32_t> pass, expr::SelectTrue(*residual_, joined, context_));
    for (size_t p = 0; p < pass.size(); ++p) {
      auto pair = static_cast<size_t>(pass[p]);
      auto j = static_cast<size_t>(positions[pair]), d = static_cast<size_t>(decoded[pair]);
      probe.a_matches[j] += probe.counts[d];
      probe.b_matches[d] += probe.weight(j);
      weights[p] = weights[pair];  // pass is ascending: p <= pair
    }
    if (pass.size() < positions.size()) {
      weights.resize(pass.size());
      joined = GatherBatch(joined, pass);
    }
  }
  if (pairs_ && joined.rows > 0) out.push_back(Weighted(std::move(joined), std::move(weights)));
  return watch_ ? watch_(0) : Status();
}

void HashJoin::EmitBatchRows(int port, const data::ChangeBatch& batch, std::span<const int32_t> rows, Output& out) {
  if (rows.empty()) return;
  std::vector<int64_t> weights;
  for (int32_t row : rows) weights.push_back(batch.weight(row));
  data::Batch own = GatherBatch(batch.AsBatch(), rows);
  if (pairs_) own = Assemble(port, std::move(own), NullBatch(sides_[1 - port]->schema, static_cast<int64_t>(rows.size())));
  out.push_back(Weighted(std::move(own), std::move(weights)));
}

void HashJoin::EmitDecodedRows(const Probe& probe, std::span<const int32_t> decoded, std::vector<int64_t> weights, Output& out) {
  if (decoded.empty()) return;
  data::Batch own = GatherBatch(probe.b, decoded);
  if (pairs_) own = Assemble(probe.port, NullBatch(sides_[probe.port]->schema, static_cast<int64_t>(decoded.size())), std::move(own));
  out.push_back(Weighted(std::move(own), std::move(weights)));
}

/// Rows of the other side whose matches began or ended with this batch (with a residual: row by row).
void HashJoin::UpdateMatches(Probe& probe, Output& out) {
  Side& b = *sides_[1 - probe.port];
  std::vector<int32_t> changed;
  std::vector<int64_t> weights;
  for (size_t d = 0; d < probe.b_rows.size(); ++d) {
    if (probe.b_matches[d] == 0) continue;
    RowEntry* entry = b.map.MutableRow(probe.b_rows[d]);
    int64_t before = b.Alone(entry->matches);
    entry->matches += probe.b_matches[d];
    int64_t after = b.Alone(entry->matches);
    if (before == after) continue;
    changed.push_back(static_cast<int32_t>(d));
    weights.push_back(probe.b_counts[d] * (after - before));
  }
  EmitDecodedRows(probe, changed, std::move(weights), out);
}

/// Adds the batch to its side; without a residual, keys that got their first row or lost their last one give and take the
/// NULL rows of the other side.
Status HashJoin::Store(Probe& probe, const data::RowKeys& keys, Output& out) {
  Side& a = *sides_[probe.port];
  Side& b = *sides_[1 - probe.port];
  a.decoded.Forget();
  std::vector<state::Ref> key_refs(probe.select.size());
  a.map.keys().FindOrInsertBatch(keys, probe.select, key_refs.data());
  struct Touched {
    int64_t weight;
    state::Ref b_key;
  };
  absl::flat_hash_map<state::Ref, Touched> touched;
  if (b.preserved && residual_ == nullptr) {
    for (size_t j = 0; j < probe.select.size(); ++j) {
      if (probe.b_keys[j] != 0) touched.try_emplace(key_refs[j], Touched{a.map.Key(key_refs[j])->weight, probe.b_keys[j]});
    }
  }
  const bool append_only = a.map.layout() == RowMultimap::Layout::kAppendOnly;
  if (append_only) KAPPA_RETURN_IF_ERROR(StoreAppended(probe, key_refs));
  else StoreIndexed(probe, key_refs);
  RowDecoder decoder(b.schema);
  std::vector<int32_t> changed;
  std::vector<int64_t> weights;
  probe.b_rows.clear();
  probe.b_counts.clear();
  for (const auto& [key, was] : touched) {
    const int64_t change = b.Alone(a.map.Key(key)->weight) - b.Alone(was.weight);
    if (change == 0) continue;
    DecodedRun run;
    DecodeKey(decoder, was.b_key, probe, run);
    for (int32_t d = run.from; d < run.from + run.count; ++d) {
      changed.push_back(d);
      weights.push_back(probe.b_counts[static_cast<size_t>(d)] * change);
    }
  }
  if (!changed.empty()) {
    probe.b = decoder.Finish();
    EmitDecodedRows(probe, changed, std::move(weights), out);
  }
  if (!append_only) a.map.EraseEmpty(std::move(probe.empty));
  return {};
}

Status HashJoin::StoreAppended(Probe& probe, std::span<const state::Ref> key_refs) {
  RowMultimap& map = sides_[probe.port]->map;
  const data::RowKeys rows(probe.batch.columns, probe.batch.rows, /*canonical=*/false, /*hashed=*/false);
  for (size_t j = 0; j < probe.select.size(); ++j) {
    if (probe.weight(j) < 0) return Error(sqlstate::kInternalError, "a row went away from input that only grows");
    map.Append(key_refs[j], rows.key(probe.select[j]), probe.weight(j));
  }
  return {};
}

void HashJoin::StoreIndexed(Probe& probe, std::span<const state::Ref> key_refs) {
  Side& a = *sides_[probe.port];
  const data::RowKeys rows(probe.batch.columns, probe.batch.rows, /*canonical=*/false);
  std::vector<state::Ref> row_refs(probe.select.size());
  a.map.rows().FindOrInsertBatch(rows, probe.select, row_refs.data());
  for (size_t j = 0; j < probe.select.size(); ++j) {
    RowEntry* entry = a.map.MutableRow(row_refs[j]);
    if (entry->owner == 0) {
      a.map.Link(row_refs[j], key_refs[j]);
      if (a.expiry.column >= 0)
        a.expiring[Side::ExpiryTime(*probe.batch.columns[static_cast<size_t>(a.expiry.column)], probe.select[j])].push_back(row_refs[j]);
    }
    entry->count += probe.weight(j);
    if (entry->count == 0) probe.empty.push_back(row_refs[j]);
    if (a.preserved && residual_ != nullptr) entry->matches = probe.a_matches[j];
    a.map.MutableKey(key_refs[j])->weight += probe.weight(j);
  }
}

}  // namespace

Result<std::unique_ptr<Operator>> MakeHashJoin(const plan::Join& node, const OperatorOptions& options) {
  KAPPA_CHECK(node.left_keys.size() == node.right_keys.size());
  for (size_t i = 0; i < node.left_keys.size(); ++i) {
    const data::Type &left = node.left_keys[i]->type(), &right = node.right_keys[i]->type();
    if (!left.Same(right)) { return Error(sqlstate::kInternalError, "join keys have types " + left.ToString() + " and " + right.ToString()); }
  }
  return std::unique_ptr<Operator>(std::make_unique<HashJoin>(node, options));
}

}  // namespace kappa::ops

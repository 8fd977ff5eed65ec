// Change feeds: a snapshot first if asked for, then every epoch's changes; bounded, so that a slow reader harms only itself.
#include "engine/subscription.h"

#include <fmt/format.h>

#include <chrono>

namespace kappa::engine {
namespace {

constexpr int64_t kSnapshotBatchRows = 1000;

}  // namespace

SubscriptionImpl::SubscriptionImpl(Core& core, std::string view, int version, data::Schema schema)
    : view_(std::move(view)), version_(version), schema_(std::move(schema)), core_(core) {}

void SubscriptionImpl::BeginSnapshot(ops::ViewSnapshot snapshot, uint64_t epoch, uint32_t version_id, bool with_rows, bool reset) {
  std::lock_guard guard(mutex_);
  queue_.clear();
  queued_rows_ = 0;
  version_id_ = version_id;
  reset_pending_ = reset;
  snapshot_epoch_ = epoch;
  if (with_rows) {
    snapshot_rows_.clear();
    std::vector<int> columns;
    for (int i = 0; i < schema_.size(); ++i) columns.push_back(i);
    // Views into the snapshot's pages: the rows themselves are not copied.
    snapshot.Scan(columns, kSnapshotBatchRows, [&](data::Batch rows) {
      snapshot_rows_.push_back(std::move(rows));
      return true;
    });
  }
  ready_.notify_all();
}

void SubscriptionImpl::Offer(uint64_t epoch, const std::vector<data::ChangeBatch>& changes) {
  std::lock_guard guard(mutex_);
  if (failure_) return;
  for (const data::ChangeBatch& batch : changes) {
    queued_rows_ += batch.rows;
    queue_.push_back({epoch, false, false, batch});
  }
  if (queued_rows_ > core_.options().subscription_queue_rows) {
    queue_.clear();
    failure_ = Error(sqlstate::kInsufficientResources, "the subscriber is too slow and was cut off")
                   .Detail(fmt::format("More than {} rows were waiting for it.", core_.options().subscription_queue_rows))
                   .Hint("Subscribe again; a snapshot comes first.");
  }
  ready_.notify_all();
}

void SubscriptionImpl::Finish(Error error) {
  std::lock_guard guard(mutex_);
  if (!failure_) failure_ = std::move(error);
  ready_.notify_all();
}

Result<std::optional<ChangeEvent>> SubscriptionImpl::Next(int64_t timeout_us) {
  std::unique_lock guard(mutex_);
  const auto has_event = [&] { return reset_pending_ || !snapshot_rows_.empty() || !queue_.empty() || failure_.has_value(); };
  ready_.wait_for(guard, std::chrono::microseconds(timeout_us), has_event);
  if (reset_pending_) {
    reset_pending_ = false;
    ChangeEvent event;
    event.epoch = snapshot_epoch_;
    event.reset = true;
    return std::optional<ChangeEvent>(std::move(event));
  }
  if (!snapshot_rows_.empty()) {
    ChangeEvent event;
    event.epoch = snapshot_epoch_;
    event.snapshot = true;
    event.changes = data::ChangeBatch(std::move(snapshot_rows_.front()));
    snapshot_rows_.pop_front();
    return std::optional<ChangeEvent>(std::move(event));
  }
  if (!queue_.empty()) {
    ChangeEvent event = std::move(queue_.front());
    queue_.pop_front();
    queued_rows_ -= event.changes.rows;
    return std::optional<ChangeEvent>(std::move(event));
  }
  if (failure_) return *failure_;
  return std::optional<ChangeEvent>();
}

Result<std::unique_ptr<Subscription>> Core::Subscribe(std::string_view name, int version, bool with_snapshot) {
  plan::Scan scan;
  scan.relation_kind = plan::RelationKind::kView;
  scan.name = std::string(name);
  scan.version = version;
  // The handle that the caller owns keeps the shared object; the engine knows it weakly.
  class Handle final : public Subscription {
   public:
    explicit Handle(std::shared_ptr<SubscriptionImpl> impl) : impl_(std::move(impl)) {}
    const data::Schema& schema() const override { return impl_->schema(); }
    Result<std::optional<ChangeEvent>> Next(int64_t timeout_us) override { return impl_->Next(timeout_us); }

   private:
    std::shared_ptr<SubscriptionImpl> impl_;
  };
  std::shared_ptr<SubscriptionImpl> impl;
  KAPPA_RETURN_IF_ERROR(AtBoundary([&]() -> Status {
    const catalog::SnapshotPtr snapshot = catalog_->snapshot();
    std::lock_guard guard(publish_);
    const catalog::View* view = snapshot->FindView(name);
    if (view == nullptr) return Error(sqlstate::kUndefinedTable, fmt::format("materialized view \"{}\" does not exist", name));
    const catalog::ViewVersion* found = view->FindVersion(version != 0 ? version : view->serving);
    auto runtime = found == nullptr ? versions_.end() : versions_.find(found->id);
    if (runtime == versions_.end() || !runtime->second->live) {
      return Error(sqlstate::kObjectNotInPrerequisiteState, fmt::format("materialized view \"{}\" is still replaying", name))
          .Hint("SELECT * FROM kappa.replays shows the progress.");
    }
    impl = std::make_shared<SubscriptionImpl>(*this, std::string(name), version, found->schema);
    impl->BeginSnapshot(runtime->second->store->Snapshot(), visible_epoch_, found->id, with_snapshot, false);
    subscriptions_.push_back(impl);
    return {};
  }));
  return std::unique_ptr<Subscription>(new Handle(std::move(impl)));
}

void Core::NotifySubscribers(uint64_t epoch, const flow::FlowChanges& changes) {
  if (subscriptions_.empty()) return;
  std::erase_if(subscriptions_, [](const auto& weak) { return weak.expired(); });
  for (const auto& weak : subscriptions_) {
    auto subscription = weak.lock();
    if (!subscription) continue;
    auto it = changes.views.find(subscription->version_id());
    if (it != changes.views.end()) subscription->Offer(epoch, it->second);
  }
}

void Core::ResetSubscribers(const std::string& name) {
  const catalog::SnapshotPtr snapshot = catalog_->snapshot();
  const catalog::View* view = snapshot->FindView(name);
  for (const auto& weak : subscriptions_) {
    auto subscription = weak.lock();
    if (!subscription || subscription->view() != name || subscription->version() != 0) continue;
    const catalog::ViewVersion* version = view == nullptr ? nullptr : view->FindVersion(view->serving);
    auto runtime = version == nullptr ? versions_.end() : versions_.find(version->id);
    if (runtime == versions_.end() || !runtime->second->live) continue;
    subscription->set_schema(version->schema);
    subscription->BeginSnapshot(runtime->second->store->Snapshot(), visible_epoch_, version->id, true, true);
  }
}

}  // namespace kappa::engine

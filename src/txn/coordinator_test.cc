// Goal: a transaction is committed everywhere or aborted everywhere, zombies are fenced off, and nothing waits for ever.
// Method: rules one by one over a store in memory; then random clients, crashes and full disks against a model of the places.
#include "txn/coordinator.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <set>

#include "log/state_testing.h"
#include "txn/transaction_record.h"

namespace kappa::txn {
namespace {

/// Partitions and groups by name. What a transaction wrote into one is its number; ends become durable when the test says so.
class FakePlaces final : public Participants {
 public:
  struct Open {
    int16_t epoch = -1;
    int written = -1;  // number of the transaction; -1: nothing yet
  };
  struct Place {
    std::map<int64_t, Open> open;                       // by producer id
    std::vector<std::pair<int, bool>> ended;            // transaction and outcome
  };

  TxnError Begin(const TopicPartition& place, const ProducerIdentity& producer) override {
    if (place.topic == "gone") return TxnError::kUnknownTopicOrPartition;
    return Begin(place.topic + std::to_string(place.partition), producer);
  }
  TxnError Begin(const std::string& group, const ProducerIdentity& producer) override {
    Open& open = places[group].open[producer.id];
    if (open.written >= 0 && open.epoch != producer.epoch) return TxnError::kInvalidTxnState;
    open.epoch = producer.epoch;
    return TxnError::kNone;
  }
  void End(const TopicPartition& place, const Decision& decision, std::function<void(bool)> done) override {
    End(place.topic + std::to_string(place.partition), decision, std::move(done));
  }
  void End(const std::string& group, const Decision& decision, std::function<void(bool)> done) override {
    if (full) return done(false);
    Place& place = places[group];
    if (const auto open = place.open.find(decision.producer.id); open != place.open.end()) {
      if (open->second.epoch > decision.producer.epoch) return done(true);
      if (open->second.written >= 0) place.ended.emplace_back(open->second.written, decision.commit);
      place.open.erase(open);
    }
    waiting.push_back(std::move(done));
    if (!hold) Sync();
  }
  /// Whether a batch of transaction `number` is accepted.
  bool Write(const std::string& place, const ProducerIdentity& producer, int number) {
    const auto open = places[place].open.find(producer.id);
    if (open == places[place].open.end() || open->second.epoch != producer.epoch) return false;
    if (open->second.written >= 0 && open->second.written != number) ADD_FAILURE() << "transaction " << number << " reached into another";
    open->second.written = number;
    if (durable.contains(place)) durable[place].open[producer.id] = open->second;  // its own records: durable before it is answered
    else durable[place] = places[place];
    return true;
  }
  void Sync() {
    durable = places;
    for (auto& done : std::exchange(waiting, {})) done(true);
  }
  void Crash() {
    places = durable;
    waiting.clear();
    for (auto& [name, place] : places) std::erase_if(place.open, [](const auto& entry) { return entry.second.written < 0; });
  }

  std::map<std::string, Place> places, durable;
  std::vector<std::function<void(bool)>> waiting;
  bool hold = false;
  bool full = false;
};

class TransactionCoordinatorTest : public testing::Test {
 protected:
  void SetUp() override { Open(); }
  void Open() {
    coordinator_.reset();
    coordinator_ = std::make_unique<Coordinator>(options_, clock_, [this]() -> Result<int64_t> { return next_id_++; }, store_, places_, [] {});
    store_.LoadInto(*coordinator_);
    coordinator_->Tick();
  }
  void Crash() {
    places_.Crash();
    Open();
  }
  Coordinator::InitResult Init(const std::string& id, ProducerIdentity expected = {}, int32_t timeout_ms = 60'000) {
    Coordinator::InitResult got{static_cast<TxnError>(-99)};
    coordinator_->InitProducer(id, timeout_ms, expected, [&](Coordinator::InitResult result) { got = result; });
    coordinator_->Tick();
    return got;
  }
  TxnError Add(const std::string& id, ProducerIdentity producer, const std::string& topic, int32_t partition = 0) {
    auto got = static_cast<TxnError>(-99);
    coordinator_->AddPartitions(id, producer, {{topic, partition}}, [&](TxnError error) { got = error; });
    coordinator_->Tick();
    return got;
  }
  TxnError AddGroup(const std::string& id, ProducerIdentity producer, const std::string& group) {
    auto got = static_cast<TxnError>(-99);
    coordinator_->AddGroup(id, producer, group, [&](TxnError error) { got = error; });
    coordinator_->Tick();
    return got;
  }
  EndResult End(const std::string& id, ProducerIdentity producer, bool commit, bool new_epoch = false) {
    EndResult got{static_cast<TxnError>(-99)};
    coordinator_->End(id, producer, commit, new_epoch, [&](EndResult result) { got = result; });
    coordinator_->Tick();
    return got;
  }
  TransactionState State(const std::string& id) { return coordinator_->FindTransaction(id)->state; }
  using Ended = std::vector<std::pair<int, bool>>;

  TransactionOptions options_;
  io::ManualClock clock_{1'700'000'000'000'000};
  int64_t next_id_ = 100;
  log::MemoryStore store_;
  FakePlaces places_;
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(TransactionCoordinatorTest, CommitAndAbortReachEveryPlace) {
  const ProducerIdentity producer = Init("id").producer;
  EXPECT_EQ(producer, (ProducerIdentity{100, 0}));
  EXPECT_EQ(Add("id", producer, "a"), TxnError::kNone);
  EXPECT_EQ(Add("id", producer, "b"), TxnError::kNone);
  EXPECT_EQ(AddGroup("id", producer, "g"), TxnError::kNone);
  EXPECT_EQ(State("id"), TransactionState::kOngoing);
  EXPECT_TRUE(coordinator_->HasBegun("id", producer, {{"a", 0}, {"b", 0}}));
  EXPECT_FALSE(coordinator_->HasBegun("id", producer, {{"c", 0}}));
  for (const char* place : {"a0", "b0", "g"}) EXPECT_TRUE(places_.Write(place, producer, 1));
  EXPECT_EQ(End("id", producer, true).error, TxnError::kNone);
  for (const char* place : {"a0", "b0", "g"}) EXPECT_EQ(places_.places[place].ended, (Ended{{1, true}})) << place;
  EXPECT_EQ(State("id"), TransactionState::kCompleteCommit);
  // Without new epochs the same identity goes on, and an end asked for again is answered as before.
  EXPECT_EQ(End("id", producer, true).error, TxnError::kNone);
  EXPECT_EQ(End("id", producer, false).error, TxnError::kInvalidTxnState);
  EXPECT_EQ(Add("id", producer, "a"), TxnError::kNone);
  EXPECT_TRUE(places_.Write("a0", producer, 2));
  EXPECT_EQ(End("id", producer, false).error, TxnError::kNone);
  EXPECT_EQ(places_.places["a0"].ended, (Ended{{1, true}, {2, false}}));
  EXPECT_EQ(places_.places["b0"].ended, (Ended{{1, true}}));
  EXPECT_EQ(coordinator_->commits(), 1u);
  EXPECT_EQ(coordinator_->aborts(), 1u);
}

TEST_F(TransactionCoordinatorTest, AnAdministratorAbortsWhatAProducerHasOpen) {
  auto end_for = [&](ProducerIdentity producer, bool commit) {
    auto got = static_cast<TxnError>(-99);
    coordinator_->EndFor(producer, commit, [&](TxnError error) { got = error; });
    coordinator_->Tick();
    return got;
  };
  Init("id");
  const ProducerIdentity producer = Init("id").producer;
  EXPECT_EQ(end_for(producer, false), TxnError::kNone) << "nothing is open";
  EXPECT_EQ(end_for({12345, 0}, true), TxnError::kNone);
  EXPECT_EQ(Add("id", producer, "a"), TxnError::kNone);
  EXPECT_EQ(AddGroup("id", producer, "g"), TxnError::kNone);
  for (const char* place : {"a0", "g"}) EXPECT_TRUE(places_.Write(place, producer, 1));
  EXPECT_EQ(end_for({producer.id, 0}, false), TxnError::kInvalidProducerEpoch);
  EXPECT_EQ(end_for(producer, true), TxnError::kInvalidTxnState) << "half of it may be missing";
  EXPECT_EQ(State("id"), TransactionState::kOngoing);
  EXPECT_EQ(end_for(producer, false), TxnError::kNone);
  EXPECT_EQ(State("id"), TransactionState::kCompleteAbort);
  for (const char* place : {"a0", "g"}) EXPECT_EQ(places_.places[place].ended, (Ended{{1, false}})) << place;
  EXPECT_EQ(Add("id", producer, "a"), TxnError::kProducerFenced);
}

TEST_F(TransactionCoordinatorTest, BadRequestsAreRefused) {
  EXPECT_EQ(Init("").error, TxnError::kInvalidRequest);
  EXPECT_EQ(Init("id", {}, 0).error, TxnError::kInvalidTransactionTimeout);
  EXPECT_EQ(Init("id", {}, options_.timeout_ms_max + 1).error, TxnError::kInvalidTransactionTimeout);
  const ProducerIdentity producer = Init("id").producer;
  EXPECT_EQ(Add("other", producer, "a"), TxnError::kInvalidProducerIdMapping);
  EXPECT_EQ(Add("id", {producer.id + 1, 0}, "a"), TxnError::kInvalidProducerIdMapping);
  EXPECT_EQ(Add("id", {producer.id, 1}, "a"), TxnError::kProducerFenced);
  EXPECT_EQ(Add("id", producer, "gone"), TxnError::kUnknownTopicOrPartition);
  EXPECT_EQ(AddGroup("id", producer, ""), TxnError::kInvalidGroupId);
  EXPECT_EQ(End("nobody", producer, true).error, TxnError::kInvalidProducerIdMapping);
  EXPECT_EQ(End("id", producer, false).error, TxnError::kNone) << "the partition that is gone does not hold it up";
}

TEST_F(TransactionCoordinatorTest, NothingOpenCannotBeEnded) {
  const ProducerIdentity producer = Init("id").producer;
  EXPECT_EQ(End("id", producer, true).error, TxnError::kInvalidTxnState);
  EXPECT_EQ(End("id", producer, false).error, TxnError::kInvalidTxnState);
  EXPECT_EQ(End("id", producer, true, true).error, TxnError::kInvalidTxnState);
  EXPECT_EQ(End("id", producer, false, true).producer, (ProducerIdentity{producer.id, 1})) << "an abort gives a new epoch all the same";
}

TEST_F(TransactionCoordinatorTest, EveryEndGivesANewEpochToThoseWhoAskForIt) {
  const ProducerIdentity first = Init("id").producer;
  EXPECT_EQ(Add("id", first, "a"), TxnError::kNone);
  EXPECT_TRUE(places_.Write("a0", first, 1));
  const EndResult ended = End("id", first, true, true);
  EXPECT_EQ(ended.error, TxnError::kNone);
  EXPECT_EQ(ended.producer, (ProducerIdentity{first.id, 1}));
  EXPECT_FALSE(places_.Write("a0", first, 1)) << "late";
  EXPECT_EQ(End("id", first, true, true).producer, ended.producer) << "asked again";
  EXPECT_EQ(End("id", first, false, true).error, TxnError::kProducerFenced);
  EXPECT_EQ(Add("id", first, "a"), TxnError::kProducerFenced);
  EXPECT_EQ(Add("id", ended.producer, "a"), TxnError::kNone);
  EXPECT_EQ(End("id", first, true, true).error, TxnError::kProducerFenced) << "cannot end the next transaction";
  EXPECT_EQ(End("id", ended.producer, true, true).producer.epoch, 2);
}

TEST_F(TransactionCoordinatorTest, ANewProducerFencesTheOldOneOff) {
  const ProducerIdentity old = Init("id").producer;
  EXPECT_EQ(Add("id", old, "a"), TxnError::kNone);
  EXPECT_TRUE(places_.Write("a0", old, 1));
  EXPECT_EQ(Init("id").error, TxnError::kConcurrentTransactions);
  const auto fresh = Init("id");
  EXPECT_EQ(fresh.error, TxnError::kNone);
  EXPECT_EQ(fresh.producer, (ProducerIdentity{old.id, 2}));
  EXPECT_EQ(places_.places["a0"].ended, (Ended{{1, false}}));
  EXPECT_FALSE(places_.Write("a0", old, 1));
  EXPECT_EQ(Add("id", old, "a"), TxnError::kProducerFenced);
  EXPECT_EQ(End("id", old, true).error, TxnError::kProducerFenced);
  EXPECT_EQ(Init("id", old).error, TxnError::kProducerFenced) << "it cannot come back by naming itself";
  const auto renewed = Init("id", fresh.producer);
  EXPECT_EQ(renewed.producer, (ProducerIdentity{old.id, 3}));
  EXPECT_EQ(Init("id", fresh.producer).producer, renewed.producer) << "asked again";
}

TEST_F(TransactionCoordinatorTest, AProducerThatRenewsItselfInATransactionGoesOn) {
  const ProducerIdentity producer = Init("id").producer;
  EXPECT_EQ(Add("id", producer, "a"), TxnError::kNone);
  EXPECT_EQ(Init("id", producer).error, TxnError::kConcurrentTransactions);
  const auto renewed = Init("id", producer);
  EXPECT_EQ(renewed.error, TxnError::kNone);
  EXPECT_GT(renewed.producer.epoch, producer.epoch);
}

TEST_F(TransactionCoordinatorTest, UsedUpEpochsGiveAFreshProducerId) {
  ProducerIdentity producer = Init("id").producer;
  const int64_t first_id = producer.id;
  for (int i = 0; i < kEpochMax; ++i) {
    ASSERT_EQ(Add("id", producer, "a"), TxnError::kNone);
    producer = End("id", producer, true, true).producer;
  }
  EXPECT_EQ(producer, (ProducerIdentity{first_id, kEpochMax}));
  ASSERT_EQ(Add("id", producer, "a"), TxnError::kNone);
  EXPECT_TRUE(places_.Write("a0", producer, 7));
  const ProducerIdentity next = End("id", producer, true, true).producer;
  EXPECT_NE(next.id, first_id);
  EXPECT_EQ(next.epoch, 0);
  EXPECT_EQ(places_.places["a0"].ended.back(), (std::pair{7, true}));
  EXPECT_EQ(End("id", producer, true, true).producer, next);
  store_.records.erase(store_.records.begin(), store_.records.end() - 1);  // the last record alone says it all
  store_.durable = 1;
  Crash();
  EXPECT_EQ(End("id", producer, true, true).producer, next);
  EXPECT_EQ(Init("id").producer, (ProducerIdentity{next.id, 1}));
}

TEST_F(TransactionCoordinatorTest, AnOpenTransactionIsAbortedAtItsTimeout) {
  const ProducerIdentity producer = Init("id", {}, 5'000).producer;
  EXPECT_EQ(Add("id", producer, "a"), TxnError::kNone);
  EXPECT_TRUE(places_.Write("a0", producer, 1));
  clock_.Advance(4'999'000);
  EXPECT_GT(coordinator_->NextDeadline(), clock_.SteadyMicros());
  coordinator_->Tick();
  EXPECT_EQ(State("id"), TransactionState::kOngoing);
  clock_.Advance(1'000);
  coordinator_->Tick();
  coordinator_->Tick();
  EXPECT_EQ(State("id"), TransactionState::kCompleteAbort);
  EXPECT_EQ(places_.places["a0"].ended, (Ended{{1, false}}));
  EXPECT_EQ(coordinator_->timeouts(), 1u);
  EXPECT_FALSE(places_.Write("a0", producer, 1));
  EXPECT_EQ(End("id", producer, true).error, TxnError::kProducerFenced);
}

TEST_F(TransactionCoordinatorTest, NothingHappensBeforeTheDecisionIsOnDisk) {
  const ProducerIdentity producer = Init("id").producer;
  EXPECT_EQ(Add("id", producer, "a"), TxnError::kNone);
  EXPECT_TRUE(places_.Write("a0", producer, 1));
  store_.hold = true;
  EXPECT_EQ(End("id", producer, true).error, static_cast<TxnError>(-99));
  EXPECT_TRUE(places_.places["a0"].ended.empty());
  EXPECT_EQ(Add("id", producer, "b"), TxnError::kConcurrentTransactions);
  EXPECT_EQ(End("id", producer, true).error, TxnError::kConcurrentTransactions);
  EXPECT_EQ(End("id", producer, false).error, TxnError::kInvalidTxnState);
  Crash();  // takes the decision with it
  EXPECT_EQ(State("id"), TransactionState::kOngoing);
  store_.hold = false;
  EXPECT_EQ(End("id", producer, false).error, TxnError::kNone);
  EXPECT_EQ(places_.places["a0"].ended, (Ended{{1, false}}));
}

TEST_F(TransactionCoordinatorTest, AFullDiskIsWaitedFor) {
  const ProducerIdentity producer = Init("id").producer;
  EXPECT_EQ(Add("id", producer, "a"), TxnError::kNone);
  EXPECT_TRUE(places_.Write("a0", producer, 1));
  store_.full = true;
  EXPECT_EQ(Add("id", producer, "b"), TxnError::kCoordinatorNotAvailable);
  EXPECT_EQ(End("id", producer, true).error, TxnError::kCoordinatorNotAvailable);
  EXPECT_EQ(Init("other").error, TxnError::kCoordinatorNotAvailable);
  EXPECT_EQ(State("id"), TransactionState::kOngoing);
  store_.full = false;
  places_.full = true;
  EndResult got{static_cast<TxnError>(-99)};
  coordinator_->End("id", producer, true, false, [&](EndResult result) { got = result; });
  coordinator_->Tick();
  EXPECT_EQ(State("id"), TransactionState::kPrepareCommit);
  places_.full = false;
  clock_.Advance(options_.retry_ms * 1000);
  coordinator_->Tick();
  coordinator_->Tick();
  EXPECT_EQ(got.error, TxnError::kNone);
  EXPECT_EQ(places_.places["a0"].ended, (Ended{{1, true}}));
}

TEST_F(TransactionCoordinatorTest, IdsWithoutTransactionsExpire) {
  Init("idle");
  const ProducerIdentity open = Init("open", {}, options_.timeout_ms_max).producer;
  for (int64_t past_ms = 0; past_ms <= options_.id_expiry_ms; past_ms += options_.expiry_interval_ms) {
    EXPECT_NE(coordinator_->FindTransaction("idle"), nullptr);
    Add("open", open, "a");
    clock_.Advance(options_.expiry_interval_ms * 1000);
    coordinator_->Tick();
  }
  clock_.Advance(options_.expiry_interval_ms * 1000);
  coordinator_->Tick();
  EXPECT_EQ(coordinator_->FindTransaction("idle"), nullptr);
  EXPECT_NE(coordinator_->FindTransaction("open"), nullptr);
  Crash();
  EXPECT_EQ(coordinator_->FindTransaction("idle"), nullptr);
}

TEST_F(TransactionCoordinatorTest, AWallClockThatWasSetBeforeTheStartExpiresNothing) {
  Init("idle");
  clock_.JumpWall(365ll * 24 * 3600 * 1'000'000);
  Crash();
  clock_.Advance(options_.expiry_interval_ms * 1000);
  coordinator_->Tick();
  EXPECT_NE(coordinator_->FindTransaction("idle"), nullptr);
}

TEST_F(TransactionCoordinatorTest, WhatIsRewrittenIsEnough) {
  const ProducerIdentity producer = Init("id").producer;
  Add("id", producer, "a");
  AddGroup("id", producer, "g");
  const size_t before = store_.records.size();
  EXPECT_TRUE(coordinator_->Rewrite(static_cast<log::Offset>(before)).ok());
  EXPECT_GT(coordinator_->LiveBytes(), 0u);
  store_.records.erase(store_.records.begin(), store_.records.begin() + static_cast<std::ptrdiff_t>(before));
  store_.durable = store_.records.size();
  Crash();
  EXPECT_EQ(State("id"), TransactionState::kOngoing);
  EXPECT_TRUE(coordinator_->Knows(TopicPartition{"a", 0}, producer.id));
  EXPECT_TRUE(coordinator_->Knows("g", producer.id));
}

TEST(TransactionRecordTest, ThereAndBackAndEveryPrefixIsRefused) {
  Transaction transaction{.id = "id", .producer = {7, 3}, .previous = {7, 2}, .next_producer_id = 9, .timeout_ms = 5};
  transaction.state = TransactionState::kPrepareCommit;
  transaction.started_ms = 11;
  transaction.updated_ms = 12;
  transaction.partitions = {{{"a", 1}, true}, {{"b", 300}, false}};
  transaction.groups = {{"g", true}};
  const std::string bytes = EncodeTransaction(transaction);
  const auto decoded = DecodeTransaction(bytes);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(EncodeTransaction(*decoded), bytes);
  EXPECT_EQ(decoded->producer, transaction.producer);
  EXPECT_EQ(decoded->partitions.size(), 2u);
  for (size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(DecodeTransaction(std::string_view(bytes).substr(0, size)).ok()) << size;
  std::string newer = bytes;
  newer[0] = 2;
  EXPECT_TRUE(DecodeTransaction(newer).status().error().Is(sqlstate::kFeatureNotSupported));
  const std::string key = EncodeKey("id");
  EXPECT_EQ(*DecodeKey(key), "id");
  for (size_t size = 0; size < key.size(); ++size) EXPECT_FALSE(DecodeKey(std::string_view(key).substr(0, size)).ok()) << size;
}

// Random clients, of both protocols, with zombies that go on after they were replaced; syncs that come late, crashes, full disks.
TEST_F(TransactionCoordinatorTest, RandomTransactionsAreAllOrNothing) {
  struct Client {
    std::string id;
    ProducerIdentity producer;
    bool new_epochs = false;
    int transaction = -1;
    bool ending = false;
  };
  size_t ended = 0;
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    store_ = {};
    places_ = {};
    Open();
    std::vector<Client> clients;
    int transactions = 0;
    std::map<int, std::set<std::string>> written;  // by transaction: places that accepted its records
    std::map<int, bool> answered;                  // transactions whose end was answered without error, and how
    std::set<int> failed;                          // those whose end was refused
    std::map<int, ProducerIdentity> next;          // that the answer gave
    for (int step = 0; step < 1000; ++step) {
      store_.hold = random() % 3 != 0;
      places_.hold = random() % 3 != 0;
      places_.full = random() % 20 == 0;
      if (clients.size() < 4 || random() % 40 == 0) {
        const std::string id = "id" + std::to_string(random() % 3);
        const auto inited = std::make_shared<Coordinator::InitResult>(Coordinator::InitResult{TxnError::kConcurrentTransactions});
        coordinator_->InitProducer(id, 60'000, {}, [inited](Coordinator::InitResult result) { *inited = result; });
        store_.Sync();
        coordinator_->Tick();
        if (inited->error == TxnError::kNone) clients.push_back({.id = id, .producer = inited->producer, .new_epochs = random() % 2 == 0});
      }
      if (clients.empty()) continue;
      const size_t at = random() % clients.size();
      Client& client = clients[at];
      const int32_t partition = static_cast<int32_t>(random() % 3);
      const std::string place = "t" + std::to_string(partition);
      switch (random() % 8) {
        case 0:
        case 1:
        case 2:
          if (client.ending) break;
          if (client.transaction < 0) client.transaction = transactions++;
          coordinator_->AddPartitions(client.id, client.producer, {{"t", partition}}, [](TxnError) {});
          break;
        case 3:
        case 4:
          if (client.ending || client.transaction < 0) break;
          if (places_.Write(place, client.producer, client.transaction)) written[client.transaction].insert(place);
          break;
        case 5: {
          if (client.ending || client.transaction < 0) break;
          client.ending = true;
          const bool commit = random() % 2 == 0;
          coordinator_->End(client.id, client.producer, commit, client.new_epochs,
                            [&answered, &next, &failed, transaction = client.transaction, commit](EndResult result) {
                              if (result.error != TxnError::kNone) return (void)failed.insert(transaction);
                              answered[transaction] = commit;
                              next[transaction] = result.producer;
                            });
          break;
        }
        case 6:
          store_.Sync();
          places_.Sync();
          break;
        case 7: clock_.Advance(random() % 20 == 0 ? 61'000'000 : 100'000); break;
      }
      coordinator_->Tick();
      if (client.ending && answered.contains(client.transaction)) {
        client.producer = next[client.transaction];
        client.transaction = -1;
        client.ending = false;
      } else if (client.ending && failed.contains(client.transaction)) {
        clients.erase(clients.begin() + static_cast<std::ptrdiff_t>(at));
      }
      if (random() % 150 == 0) {
        Crash();
        clients.clear();
      }
    }
    // The end of all that is open: by timeout.
    places_.full = store_.hold = places_.hold = false;
    store_.Sync();
    places_.Sync();
    for (int i = 0; i < 4; ++i) {
      clock_.Advance(61'000'000);
      coordinator_->Tick();
    }
    std::map<int, std::map<std::string, bool>> outcomes;
    for (const auto& [name, place] : places_.places) {
      for (const auto& [producer, open] : place.open) EXPECT_LT(open.written, 0) << "still open in " << name;
      for (const auto& [transaction, commit] : place.ended) {
        EXPECT_TRUE(outcomes[transaction].emplace(name, commit).second) << "transaction " << transaction << " ended twice in " << name;
      }
    }
    for (const auto& [transaction, places] : written) {
      std::set<bool> how;
      for (const std::string& place : places) {
        ASSERT_TRUE(outcomes[transaction].contains(place)) << "transaction " << transaction << " never ended in " << place;
        how.insert(outcomes[transaction][place]);
      }
      EXPECT_EQ(how.size(), 1u) << "transaction " << transaction << " is torn";
      if (!answered.contains(transaction)) continue;
      EXPECT_EQ(*how.begin(), answered[transaction]) << "transaction " << transaction;
    }
    ended += answered.size();
  }
  EXPECT_GT(ended, 1000u) << "the test tests little";
}

}  // namespace
}  // namespace kappa::txn

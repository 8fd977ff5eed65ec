//! rdkafka, the Rust binding with a librdkafka of its own: idempotence with every codec, groups, commit and resume, transactions with offsets.
use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use crate::{Failure, eventually};

const LONG: Duration = Duration::from_secs(20);

fn config(broker: &str, settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker);
    settings.iter().for_each(|(name, value)| {
        config.set(*name, *value);
    });
    config
}

fn create(broker: &str, topic: &str, partitions: i32) -> Result<(), Failure> {
    let admin: AdminClient<DefaultClientContext> = config(broker, &[]).create()?;
    let topics = [NewTopic::new(topic, partitions, TopicReplication::Fixed(1))];
    let results = tokio::runtime::Handle::current().block_on(admin.create_topics(&topics, &AdminOptions::new()))?;
    results.into_iter().next().unwrap().map_err(|(_, code)| code)?;
    Ok(())
}

fn send(producer: &BaseProducer, topic: &str, values: std::ops::Range<usize>) -> Result<(), Failure> {
    for value in values {
        let text = format!("value {value}");
        producer.send(BaseRecord::<(), _>::to(topic).payload(&text).partition((value % 4) as i32)).map_err(|(error, _)| error)?;
    }
    producer.flush(LONG)?;
    Ok(())
}

/// A consumer and what it has read.
struct Member {
    consumer: BaseConsumer,
    values: BTreeSet<String>,
}

impl Member {
    fn join(broker: &str, topic: &str, group: &str, strategy: &str) -> Result<Member, Failure> {
        let settings = [("group.id", group), ("partition.assignment.strategy", strategy), ("auto.offset.reset", "earliest"), ("enable.auto.commit", "false"),
            ("heartbeat.interval.ms", "200"), ("session.timeout.ms", "10000"), ("isolation.level", "read_committed")];
        let consumer: BaseConsumer = config(broker, &settings).create()?;
        consumer.subscribe(&[topic])?;
        Ok(Member { consumer, values: BTreeSet::new() })
    }

    /// Takes what comes within a moment, and commits it.
    fn poll(&mut self) {
        if let Some(Ok(message)) = self.consumer.poll(Duration::from_millis(10)) {
            self.values.insert(String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned());
            let _ = self.consumer.commit_message(&message, CommitMode::Async); // fails in a rebalance: whoever has the partition then reads again
        }
    }

    /// Commits all that was read, and says what that was.
    fn leave(self) -> Result<BTreeSet<String>, Failure> {
        match self.consumer.commit_consumer_state(CommitMode::Sync) {
            Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => (), // nothing since the last rebalance
            result => result?,
        }
        Ok(self.values)
    }

    fn owned(&self) -> usize {
        self.consumer.assignment().map_or(0, |list| list.count())
    }
}

/// Polls all members until each has so many partitions.
fn settle(members: &mut [&mut Member], owned: usize) {
    eventually(&format!("{} members with {owned} partitions each", members.len()), || {
        members.iter_mut().for_each(|member| member.poll());
        members.iter().all(|member| member.owned() == owned)
    });
}

fn group(broker: &str, topic: &str, strategy: &str, sent: &mut usize) -> Result<(), Failure> {
    let name = format!("{topic}-{strategy}");
    let producer: BaseProducer = config(broker, &[]).create()?;
    let mut one = Member::join(broker, topic, &name, strategy)?;
    settle(&mut [&mut one], 4);
    let mut two = Member::join(broker, topic, &name, strategy)?;
    settle(&mut [&mut one, &mut two], 2);
    eventually("all records are read", || {
        one.poll();
        two.poll();
        one.values.union(&two.values).count() == *sent
    });
    let seen = one.leave()?;
    settle(&mut [&mut two], 4);
    send(&producer, topic, *sent..*sent + 40)?;
    *sent += 40;
    eventually("all records are read after one left", || {
        two.poll();
        two.values.union(&seen).count() == *sent
    });
    two.leave()?;
    let mut three = Member::join(broker, topic, &name, strategy)?;
    settle(&mut [&mut three], 4);
    send(&producer, topic, *sent..*sent + 8)?;
    *sent += 8;
    eventually("reading goes on", || {
        three.poll();
        three.values.len() >= 8
    });
    assert!(three.values.len() == 8, "reading did not go on at what was committed");
    println!("ok  rdkafka: {strategy} group, rebalance, commit and resume");
    Ok(())
}

/// Every other transaction is aborted; each writes a record and commits an offset of the group.
fn transactions(broker: &str) -> Result<(), Failure> {
    let topic = crate::unique("rdkafka-transactions");
    create(broker, &topic, 1)?;
    let producer: ThreadedProducer<DefaultProducerContext> = config(broker, &[("transactional.id", &topic)]).create()?;
    producer.init_transactions(LONG)?;
    let settings = [("group.id", topic.as_str()), ("enable.auto.commit", "false"), ("auto.offset.reset", "earliest"), ("isolation.level", "read_committed"),
        ("enable.partition.eof", "true")];
    let reader: BaseConsumer = config(broker, &settings).create()?;
    for turn in 0..20 {
        producer.begin_transaction()?;
        producer.send(BaseRecord::<(), _>::to(&topic).payload(&turn.to_string())).map_err(|(error, _)| error)?;
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(&topic, 0, Offset::Offset(turn + 1))?;
        producer.send_offsets_to_transaction(&offsets, &reader.group_metadata().ok_or("no group")?, LONG)?;
        if turn % 2 == 0 {
            producer.commit_transaction(LONG)?;
        } else {
            producer.abort_transaction(LONG)?;
        }
    }
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(&topic, 0, Offset::Beginning)?;
    let committed = reader.committed_offsets(all.clone(), LONG)?;
    assert_eq!(committed.elements()[0].offset(), Offset::Offset(19), "offset of the last committed transaction");
    reader.assign(&all)?;
    let mut values = Vec::new();
    eventually("the end of the partition", || match reader.poll(Duration::from_millis(100)) {
        Some(Ok(message)) => {
            values.push(String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned());
            false
        }
        Some(Err(error)) => matches!(error, KafkaError::PartitionEOF(_)),
        None => false,
    });
    assert_eq!(values, (0..20).step_by(2).map(|turn| turn.to_string()).collect::<Vec<_>>(), "records of committed transactions alone");
    println!("ok  rdkafka: transactions with offsets, committed and aborted");
    Ok(())
}

pub fn run(broker: &str) -> Result<(), Failure> {
    let topic = crate::unique("rdkafka");
    create(broker, &topic, 4)?;
    let mut sent = 0;
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let producer: BaseProducer = config(broker, &[("compression.codec", codec), ("enable.idempotence", "true")]).create()?;
        send(&producer, &topic, sent..sent + 200)?;
        sent += 200;
    }
    println!("ok  rdkafka: idempotent producer with every codec");
    group(broker, &topic, "range", &mut sent)?;
    group(broker, &topic, "cooperative-sticky", &mut sent)?;
    transactions(broker)
}

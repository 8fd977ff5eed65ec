//! rskafka, which speaks the protocol itself: every codec, offsets, records deleted. It has no groups, idempotence or transactions.
use rskafka::chrono::{TimeZone, Utc};
use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, OffsetAt, UnknownTopicHandling};
use rskafka::record::Record;

pub async fn run(broker: &str) -> Result<(), crate::Failure> {
    let topic = crate::unique("rskafka");
    let client = ClientBuilder::new(vec![broker.to_string()]).build().await?;
    client.controller_client()?.create_topic(&topic, 1, 1, 10_000).await?;
    assert!(client.list_topics().await?.iter().any(|one| one.name == topic), "the topic is not listed");
    let partition = client.partition_client(&topic, 0, UnknownTopicHandling::Error).await?;
    let mut sent = Vec::new();
    for codec in [Compression::NoCompression, Compression::Gzip, Compression::Lz4, Compression::Snappy, Compression::Zstd] {
        let records: Vec<Record> = (0..200)
            .map(|n| Record {
                key: (n % 3 != 0).then(|| format!("key {n}").into_bytes()),
                value: (n % 7 != 0).then(|| format!("value {n} of a text that compresses well, well, well").into_bytes()),
                headers: [("codec".to_string(), format!("{codec:?}").into_bytes())].into(),
                timestamp: Utc.timestamp_millis_opt(1_700_000_000_000 + sent.len() as i64 + n).unwrap(),
            })
            .collect();
        let offsets = partition.produce(records.clone(), codec).await?;
        assert_eq!(offsets, (sent.len() as i64..sent.len() as i64 + 200).collect::<Vec<_>>(), "offsets with {codec:?}");
        sent.extend(records);
    }
    let mut got = Vec::new();
    while got.len() < sent.len() {
        let (records, high_watermark) = partition.fetch_records(got.len() as i64, 1..20_000, 5_000).await?;
        assert_eq!(high_watermark, sent.len() as i64);
        for one in records {
            assert_eq!(one.offset, got.len() as i64);
            got.push(one.record);
        }
    }
    assert!(got == sent, "other records came back");
    println!("ok  rskafka: every codec");

    assert_eq!(partition.get_offset(OffsetAt::Latest).await?, 1000);
    assert_eq!(partition.get_offset(OffsetAt::Timestamp(sent[321].timestamp)).await?, 321);
    partition.delete_records(123, 5_000).await?;
    assert_eq!(partition.get_offset(OffsetAt::Earliest).await?, 123);
    client.controller_client()?.delete_topic(&topic, 10_000).await?;
    assert!(!client.list_topics().await?.iter().any(|one| one.name == topic), "the topic is still there");
    println!("ok  rskafka: offsets, records and topics deleted");
    Ok(())
}

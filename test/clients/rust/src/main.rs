//! Rust's Kafka clients against a running broker. Usage: rust_clients HOST:PORT
mod rdkafka_client;
mod rskafka_client;

use std::time::{Duration, Instant};

pub type Failure = Box<dyn std::error::Error>;

/// A name that no other run has.
pub fn unique(client: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("{client}-{}", now.as_nanos())
}

/// Goes on with the step until it says true, for at most a minute.
pub fn eventually(what: &str, mut step: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !step() {
        assert!(Instant::now() < deadline, "never: {what}");
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let broker = std::env::args().nth(1).ok_or("usage: rust_clients HOST:PORT")?;
    rskafka_client::run(&broker).await?;
    tokio::task::block_in_place(|| rdkafka_client::run(&broker))
}

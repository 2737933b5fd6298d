//! `ferrohub monitor`: what devices send, as it comes.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fe2o3_amqp::types::primitives::{SimpleValue, Value as AmqpValue};
use serde_json::{Map, Value, json};

use super::hub_to_ask::HubToAsk;
use super::output::Lines;
use super::signals::Signals;
use crate::clock::Clock;
use crate::error::Result;
use crate::protocol::timestamp::{parse_timestamp, timestamp};
use crate::service::amqp::events::{Event, EventOptions, EventReader, Place, Start};

const PREFETCH: u32 = 300;

#[derive(Debug, clap::Args)]
pub(super) struct Monitor {
    /// Only what this device sends, or its modules; again for more of them
    #[arg(long = "device", value_name = "DEVICE")]
    devices: Vec<String>,
    /// Only what modules of this name send; again for more of them
    #[arg(long = "module", value_name = "MODULE")]
    modules: Vec<String>,
    /// Only events of this source, `Telemetry` or `twinChangeEvents` for instance; again for more of them
    #[arg(long = "source", value_name = "SOURCE")]
    sources: Vec<String>,
    /// Read this partition only; again for more of them
    #[arg(long = "partition", value_name = "PARTITION")]
    partitions: Vec<String>,
    /// Who reads
    #[arg(long, value_name = "GROUP", default_value = "$Default")]
    consumer_group: String,
    /// Begin with what came since then: `earliest`, a time as 2026-01-31T12:00:00Z, or how long ago, as 30s, 10m,
    /// 2h or 1d [default: what comes from now on]
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Place>,
    /// End after so many events
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End when nothing came for so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    /// Print a line of JSON for each event
    #[arg(long)]
    json: bool,
    /// Over a WebSocket on port 443, where 5671 is closed
    #[arg(long)]
    websocket: bool,
    #[command(flatten)]
    hub: HubToAsk,
}

impl Monitor {
    pub(super) async fn run(self) -> Result<()> {
        let signals = Signals::listen()?;
        let source = self.hub.event_source(self.websocket)?;
        let options = EventOptions {
            start: Start::Everywhere(self.since.clone().unwrap_or(Place::Latest)),
            partitions: (!self.partitions.is_empty()).then(|| self.partitions.clone()),
            consumer_group: self.consumer_group.clone(),
            prefetch: PREFETCH,
        };
        let reader = EventReader::new(source, options);
        let ended = tokio::select! {
            ended = self.print(&reader) => ended,
            () = signals.interrupted() => Ok(()),
        };
        reader.close().await;
        ended
    }

    /// Print what comes, to the last that is asked for, or until nobody reads it.
    async fn print(&self, reader: &EventReader) -> Result<()> {
        let mut left = self.count.unwrap_or(u64::MAX);
        while reader.wait(None, self.timeout).await? {
            let mut lines = Lines::default();
            while let Some(event) = reader.next() {
                if self.is_wanted(&event) {
                    lines.add(&if self.json { json(&event).to_string() } else { line(&event) });
                    left -= 1;
                }
                if left == 0 {
                    break;
                }
            }
            if !lines.print() || left == 0 {
                break;
            }
        }
        Ok(())
    }

    fn is_wanted(&self, event: &Event) -> bool {
        let among = |wanted: &[String], value: Option<&str>| {
            wanted.is_empty() || wanted.iter().any(|wanted| Some(wanted.as_str()) == value)
        };
        let source = event.source().unwrap_or_default();
        among(&self.devices, event.device_id())
            && among(&self.modules, event.module_id())
            && (self.sources.is_empty()
                || self.sources.iter().any(|wanted| wanted.eq_ignore_ascii_case(source)))
    }
}

fn since(text: &str) -> std::result::Result<Place, String> {
    if text == "earliest" {
        return Ok(Place::earliest());
    }
    let time = parse_timestamp(text).or_else(|| {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return None,
        };
        let ago = number.parse::<u64>().ok()?.checked_mul(seconds)?.checked_mul(1000)?;
        Some(Clock::system().unix_millis().saturating_sub(ago))
    });
    let time = time.and_then(|unix_millis| i64::try_from(unix_millis).ok());
    time.map(Place::Time).ok_or_else(|| {
        "it has to be `earliest`, a time as 2026-01-31T12:00:00Z, or how long ago, as 30s, 10m, 2h or 1d"
            .to_owned()
    })
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "it has to be a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// For people: when, who, what it is unless telemetry, properties and body.
fn line(event: &Event) -> String {
    let who = [event.device_id(), event.module_id()].into_iter().flatten().collect::<Vec<_>>().join("/");
    let mut parts = vec![time(event).unwrap_or_default(), who];
    parts.extend(event.source().filter(|source| *source != "Telemetry").map(|source| format!("[{source}]")));
    let properties = properties(event);
    if !properties.is_empty() {
        parts.push(Value::Object(properties).to_string());
    }
    let body = event.body();
    parts.push(std::str::from_utf8(&body).map_or_else(
        |_| format!("({} bytes: {})", body.len(), STANDARD.encode(&body)),
        |text| text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect(),
    ));
    parts.join(" ")
}

/// For programs. The body is in `body` if it is text, as JSON if it says that it is; else in `bodyBase64`.
fn json(event: &Event) -> Value {
    let mut fields = Map::new();
    let texts = [
        ("deviceId", event.device_id().map(str::to_owned)),
        ("moduleId", event.module_id().map(str::to_owned)),
        ("source", event.source().map(str::to_owned)),
        ("enqueuedTime", time(event)),
        ("partition", Some(event.partition().to_owned())),
        ("offset", event.text("x-opt-offset").map(str::to_owned)),
    ];
    fields.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text?)))));
    fields.insert("sequenceNumber".to_owned(), json!(event.number("x-opt-sequence-number")));
    fields.insert("properties".to_owned(), Value::Object(properties(event)));
    fields.insert("systemProperties".to_owned(), Value::Object(system_properties(event)));
    let body = event.body();
    match std::str::from_utf8(&body) {
        Ok(text) => {
            let says_json = event.content_type().is_some_and(|content_type| content_type.contains("json"));
            let parsed = says_json.then(|| serde_json::from_str(text).ok()).flatten();
            fields.insert("body".to_owned(), parsed.unwrap_or_else(|| json!(text)));
        }
        Err(_) => drop(fields.insert("bodyBase64".to_owned(), json!(STANDARD.encode(&body)))),
    }
    Value::Object(fields)
}

fn time(event: &Event) -> Option<String> {
    event.enqueued_unix_millis().and_then(|unix_millis| u64::try_from(unix_millis).ok()).map(timestamp)
}

fn properties(event: &Event) -> Map<String, Value> {
    let one = |(name, value): (&str, &SimpleValue)| (name.to_owned(), amqp(&AmqpValue::from(value.clone())));
    event.properties().map(one).collect()
}

fn system_properties(event: &Event) -> Map<String, Value> {
    let annotations = event.annotations().map(|(name, value)| (name.to_owned(), amqp(value)));
    let own = event.named_properties().into_iter().map(|(name, value)| (name.to_owned(), amqp(&value)));
    annotations.chain(own).collect()
}

fn moment(unix_millis: i64) -> Value {
    u64::try_from(unix_millis)
        .map_or_else(|_| json!(unix_millis), |unix_millis| json!(timestamp(unix_millis)))
}

/// A value of AMQP, as far as JSON has it.
fn amqp(value: &AmqpValue) -> Value {
    match value {
        AmqpValue::Null => Value::Null,
        AmqpValue::Timestamp(time) => moment(time.milliseconds()),
        AmqpValue::Symbol(symbol) => json!(symbol.as_str()),
        AmqpValue::Binary(bytes) => json!(STANDARD.encode(bytes)),
        AmqpValue::Uuid(uuid) => json!(uuid::Uuid::from_bytes(*uuid.as_inner()).to_string()),
        AmqpValue::Map(entries) => {
            let named =
                |key: &AmqpValue| amqp(key).as_str().map_or_else(|| amqp(key).to_string(), str::to_owned);
            entries.iter().map(|(key, value)| (named(key), amqp(value))).collect()
        }
        AmqpValue::List(items) => items.iter().map(amqp).collect(),
        AmqpValue::Array(items) => items.iter().map(amqp).collect(),
        value => scalar(value),
    }
}

fn scalar(value: &AmqpValue) -> Value {
    match value {
        AmqpValue::Bool(truth) => json!(truth),
        AmqpValue::Ubyte(number) => json!(number),
        AmqpValue::Ushort(number) => json!(number),
        AmqpValue::Uint(number) => json!(number),
        AmqpValue::Ulong(number) => json!(number),
        AmqpValue::Byte(number) => json!(number),
        AmqpValue::Short(number) => json!(number),
        AmqpValue::Int(number) => json!(number),
        AmqpValue::Long(number) => json!(number),
        AmqpValue::Float(number) => json!(number.into_inner()),
        AmqpValue::Double(number) => json!(number.into_inner()),
        AmqpValue::Char(character) => json!(character),
        AmqpValue::String(text) => json!(text),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_a_time_or_how_long_ago() {
        assert_eq!(since("earliest"), Ok(Place::earliest()));
        assert_eq!(since("1970-01-01T00:00:01Z"), Ok(Place::Time(1000)));
        let now = i64::try_from(Clock::system().unix_millis()).unwrap();
        let Ok(Place::Time(then)) = since("2m") else { panic!("no time") };
        assert!((now - then - 120_000).abs() < 10_000);
        for wrong in ["", "m", "2", "2w", "é", "-1s", "99999999999999999999d", "yesterday"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }
}

//! Our device client in Rust, without Python: how far the Python package is from its own engine, and what loads brokers.
//!
//! `engine publish`: messages of one client, at most `BENCH_AT_ONCE` of them without an answer.
//! `engine connect`: clients of many devices, connected and disconnected, so many at once.
//!
//! Told what to do by the environment and prints what it measured as JSON, as the programs of `measure.py` do.

use std::collections::VecDeque;
use std::error::Error;
use std::time::Instant;

use bytes::Bytes;
use ferrohub::auth::{ConnectionString, SasKey};
use ferrohub::device::{Client, Credentials, Options};
use ferrohub::tls::Roots;
use tokio::runtime::{Builder, Handle};

type Outcome<T> = Result<T, Box<dyn Error>>;

const WARM_UP: usize = 256;
const PAYLOAD: &[u8] = &[b'x'; 256];

/// What the environment says.
struct Task {
    device: ConnectionString,
    roots: Roots,
    calls: usize,
    at_once: usize,
    devices: usize,
}

fn main() -> Outcome<()> {
    // As Python's clients have it: a thread of its own for the connection.
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let task = Task::read()?;
    let (began, cpu) = (Instant::now(), cpu_seconds()?);
    let (calls, sent, began, cpu) = match std::env::args().nth(1).as_deref() {
        Some("publish") => {
            let client = task.client(task.device.get("DeviceId").unwrap_or_default(), runtime.handle())?;
            runtime.block_on(client.connect(None))?;
            runtime.block_on(publish(&client, WARM_UP, task.at_once))?;
            let start = (Instant::now(), cpu_seconds()?);
            runtime.block_on(publish(&client, task.calls, task.at_once))?;
            (task.calls, task.calls + WARM_UP, start.0, start.1)
        }
        Some("connect") => {
            runtime.block_on(task.connect(runtime.handle()))?;
            (task.calls, 0, began, cpu)
        }
        _ => return Err("engine publish, or engine connect".into()),
    };
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    say(&format!(r#"{{"calls": {calls}, "seconds": {seconds}, "cpu": {cpu}, "memory": 0, "sent": {sent}}}"#));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is a program")]
fn say(line: &str) {
    println!("{line}");
}

async fn publish(client: &Client, count: usize, at_once: usize) -> Outcome<()> {
    let mut unanswered = VecDeque::with_capacity(at_once);
    for _ in 0..count {
        if unanswered.len() == at_once
            && let Some(oldest) = unanswered.pop_front()
        {
            oldest.await?;
        }
        unanswered.push_back(client.send_telemetry("", Bytes::from_static(PAYLOAD), None));
    }
    for receipt in unanswered {
        receipt.await?;
    }
    Ok(())
}

impl Task {
    fn read() -> Outcome<Self> {
        let number = |name: &str| -> Outcome<usize> { Ok(std::env::var(name)?.parse()?) };
        Ok(Self {
            device: ConnectionString::parse(&std::env::var("BENCH_DEVICE")?)?,
            roots: Roots::Pem(std::fs::read_to_string(std::env::var("BENCH_CA_FILE")?)?),
            calls: number("BENCH_CALLS")?,
            at_once: number("BENCH_AT_ONCE")?,
            devices: number("BENCH_DEVICES")?,
        })
    }

    fn client(&self, device_id: &str, handle: &Handle) -> Outcome<Client> {
        let key = SasKey::from_base64(self.device.get("SharedAccessKey").unwrap_or_default())?;
        let host_name = self.device.host_name().to_owned();
        let mut options = Options::new(host_name, device_id.to_owned(), None, Credentials::key(key));
        options.roots = self.roots.clone();
        options.window = self.at_once;
        Ok(Client::new(options, handle)?)
    }

    async fn connect(&self, handle: &Handle) -> Outcome<()> {
        let mut connecting = tokio::task::JoinSet::new();
        for number in 0..self.calls {
            if connecting.len() == self.at_once {
                connecting.join_next().await.transpose()?.transpose()?;
            }
            let client = self.client(&format!("device-{:06}", number % self.devices), handle)?;
            connecting.spawn(async move {
                client.connect(None).await?;
                client.shutdown(None).await
            });
        }
        while let Some(connected) = connecting.join_next().await {
            connected??;
        }
        Ok(())
    }
}

/// User and system time of this process; 0 where there is no `/proc`.
fn cpu_seconds() -> Outcome<f64> {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return Ok(0.0) };
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let mut ticks = 0.0;
    for field in fields.skip(11).take(2) {
        ticks += field.parse::<f64>()?;
    }
    Ok(ticks / 100.0)
}

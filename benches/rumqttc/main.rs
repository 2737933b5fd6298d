//! rumqttc: publishes with at most `BENCH_AT_ONCE` messages in flight; its event loop counts the acknowledgements.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS, TlsConfiguration, Transport};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

type Outcome<T> = Result<T, Box<dyn Error>>;

const WARM_UP: usize = 256;
const TOPIC: &str = "devices/device-000000/messages/events/";

#[tokio::main(worker_threads = 1)]
async fn main() -> Outcome<()> {
    let number = |name: &str| -> Outcome<usize> { Ok(std::env::var(name)?.parse()?) };
    let (calls, at_once) = (number("BENCH_CALLS")?, number("BENCH_AT_ONCE")?);
    let mut options = MqttOptions::new("bench-rumqttc", std::env::var("BENCH_HOST")?, 8883);
    options.set_inflight(u16::try_from(at_once)?);
    options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(tls()?))));
    let (client, mut events) = AsyncClient::new(options, at_once);
    publish(&client, &mut events, WARM_UP).await?;
    let (began, cpu) = (Instant::now(), cpu_seconds()?);
    publish(&client, &mut events, calls).await?;
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    let sent = WARM_UP + calls;
    println!(r#"{{"calls": {calls}, "seconds": {seconds}, "cpu": {cpu}, "memory": 0, "sent": {sent}}}"#);
    Ok(())
}

async fn publish(client: &AsyncClient, events: &mut EventLoop, count: usize) -> Outcome<()> {
    let client = client.clone();
    let publishing = tokio::spawn(async move {
        for _ in 0..count {
            client.publish(TOPIC, QoS::AtLeastOnce, false, [b'x'; 256]).await?;
        }
        Ok::<(), rumqttc::ClientError>(())
    });
    let mut acknowledged = 0;
    while acknowledged < count {
        if let Event::Incoming(Packet::PubAck(_)) = events.poll().await? {
            acknowledged += 1;
        }
    }
    Ok(publishing.await??)
}

fn tls() -> Outcome<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(std::env::var("BENCH_CA_FILE")?)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
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

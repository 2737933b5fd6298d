//! The SASL exchange (AMQP 1.0, 5.3): MSSBCBS, or else ANONYMOUS; who asks is said at `$cbs` afterwards.
//!
//! By hand, since fe2o3-amqp knows no MSSBCBS, which IoT Hub's clients begin with.

use std::io;

use fe2o3_amqp::types::primitives::Symbol;
use fe2o3_amqp::types::sasl::{SaslCode, SaslInit, SaslMechanisms, SaslOutcome};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::error::{Error, ErrorKind, Result};
use crate::net::BoxedStream;

const HEADER: [u8; 8] = *b"AMQP\x03\x01\x00\x00";
/// Those that show no credentials, the preferred one first.
const MECHANISMS: [&str; 2] = ["MSSBCBS", "ANONYMOUS"];
/// No frame of this exchange is larger (5.3.1).
const LARGEST_FRAME: u32 = 512;
const FRAME_HEADER: u32 = 8;
/// Data begins after two words, and the type is SASL's, on channel 0.
const DATA_OFFSET_AND_TYPE: [u8; 4] = [2, 1, 0, 0];

/// Do the exchange.
///
/// # Errors
/// `Protocol` if the peer speaks something else or offers neither mechanism, `Unauthorized` if it refuses.
pub(super) async fn exchange(stream: &mut BoxedStream) -> Result<()> {
    stream.write_all(&HEADER).await.map_err(lost)?;
    stream.flush().await.map_err(lost)?;
    let mut header = [0; HEADER.len()];
    stream.read_exact(&mut header).await.map_err(lost)?;
    if header != HEADER {
        return Err(protocol("the hub does not answer with SASL"));
    }
    let offered: SaslMechanisms = read(stream).await?;
    let offered = offered.sasl_server_mechanisms.0;
    let chosen = MECHANISMS.into_iter().find(|name| offered.iter().any(|offer| offer.as_str() == *name));
    let chosen = chosen.ok_or_else(|| protocol("the hub offers neither MSSBCBS nor ANONYMOUS"))?;
    let init = SaslInit { mechanism: Symbol::from(chosen), initial_response: None, hostname: None };
    stream.write_all(&frame(&init)?).await.map_err(lost)?;
    stream.flush().await.map_err(lost)?;
    match read::<SaslOutcome>(stream).await?.code {
        SaslCode::Ok => Ok(()),
        code => {
            Err(Error::new(ErrorKind::Unauthorized, format!("the hub refuses the SASL exchange ({code:?})")))
        }
    }
}

fn frame(init: &SaslInit) -> Result<Vec<u8>> {
    let body = serde_amqp::to_vec(init).map_err(|error| protocol("SASL failed").caused_by(error))?;
    let size = FRAME_HEADER + u32::try_from(body.len()).map_err(|_| protocol("SASL failed"))?;
    Ok([&size.to_be_bytes()[..], &DATA_OFFSET_AND_TYPE, &body].concat())
}

async fn read<T: for<'de> Deserialize<'de>>(stream: &mut BoxedStream) -> Result<T> {
    let size = stream.read_u32().await.map_err(lost)?;
    if !(FRAME_HEADER..=LARGEST_FRAME).contains(&size) {
        return Err(protocol("the hub breaks the SASL exchange"));
    }
    let mut frame = vec![0; (size - 4) as usize];
    stream.read_exact(&mut frame).await.map_err(lost)?;
    // The offset counts from the size, which has been read already.
    let offset = (usize::from(frame[0]) * 4).checked_sub(4);
    let body = offset.and_then(|offset| frame.get(offset..)).unwrap_or_default();
    serde_amqp::from_slice(body)
        .map_err(|error| protocol("the hub breaks the SASL exchange").caused_by(error))
}

fn lost(error: io::Error) -> Error {
    Error::new(ErrorKind::ConnectionFailed, "the hub closed the connection instead of answering")
        .caused_by(error)
}

fn protocol(text: &str) -> Error {
    Error::new(ErrorKind::Protocol, text)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    async fn answered(answer: &[u8]) -> (Result<()>, Vec<u8>) {
        let (stream, mut hub) = duplex(1024);
        hub.write_all(answer).await.unwrap();
        let mut stream: BoxedStream = Box::new(stream);
        let result = exchange(&mut stream).await;
        drop(stream);
        let mut written = Vec::new();
        hub.read_to_end(&mut written).await.unwrap();
        (result, written)
    }

    fn mechanisms(name: &str) -> Vec<u8> {
        let length = u8::try_from(name.len()).unwrap();
        let body = [&[0, 0x53, 0x40, 0xc0, length + 3, 1, 0xa3, length][..], name.as_bytes()].concat();
        let size = u32::try_from(body.len()).unwrap() + 8;
        [&HEADER[..], &size.to_be_bytes(), &[2, 1, 0, 0], &body].concat()
    }

    fn outcome(code: u8) -> [u8; 16] {
        [0, 0, 0, 16, 2, 1, 0, 0, 0, 0x53, 0x44, 0xc0, 3, 1, 0x50, code]
    }

    #[tokio::test]
    async fn the_mechanism_is_that_of_microsofts_clients() {
        let (result, written) = answered(&[&mechanisms("MSSBCBS")[..], &outcome(0)].concat()).await;
        result.unwrap();
        // As recorded from the official package.
        let init = b"\0\0\0\x17\x02\x01\0\0\0\x53\x41\xc0\x0a\x01\xa3\x07MSSBCBS";
        assert_eq!(written, [&HEADER[..], init].concat());
    }

    #[tokio::test]
    async fn each_failure_has_its_kind() {
        for (answer, kind) in [
            ([&mechanisms("ANONYMOUS")[..], &outcome(1)].concat(), ErrorKind::Unauthorized),
            (mechanisms("PLAIN"), ErrorKind::Protocol),
            (b"HTTP/1.1 400 Bad Request".to_vec(), ErrorKind::Protocol),
            ([&HEADER[..], b"\xff\xff\xff\xff\x02\x01\0\0"].concat(), ErrorKind::Protocol),
            ([&HEADER[..], b"\0\0\0\x08\0\x01\0\0"].concat(), ErrorKind::Protocol),
        ] {
            assert_eq!(answered(&answer).await.0.unwrap_err().kind(), kind, "{answer:?}");
        }
    }
}

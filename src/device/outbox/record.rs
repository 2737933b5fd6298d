//! How a stored message stands in the file: bytes that say themselves whether they are whole.
//!
//! Each record begins with a mark and a checksum, so that what is left of a damaged file can be found in it without
//! the database around it (`recovery`).

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// How each sort of record begins: a message, the note of what is done, and whose the file is.
const MESSAGE: [u8; 8] = *b"\x00FHmsg1\xFF";
const DONE: [u8; 8] = *b"\x00FHdon1\xFF";
const SENDER: [u8; 8] = *b"\x00FHsnd1\xFF";
const CHECKSUM: usize = 8;

/// A message on its way through the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// When it was accepted, milliseconds since 1970.
    pub(super) accepted: u64,
    /// Encoded by [`crate::protocol::properties`].
    pub(super) properties: String,
    pub(super) payload: Bytes,
}

impl Message {
    /// What it counts against the outbox's limit, in bytes.
    pub(super) fn size(&self) -> u64 {
        (self.properties.len() + self.payload.len()) as u64
    }
}

/// A message with the number that gives it its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) number: u64,
    pub(super) message: Message,
}

impl Stored {
    pub(super) fn encode(&self) -> Vec<u8> {
        let Message { accepted, properties, payload } = &self.message;
        let length = u32::try_from(properties.len()).unwrap_or(u32::MAX);
        seal(
            MESSAGE,
            &[
                &self.number.to_le_bytes(),
                &accepted.to_le_bytes(),
                &length.to_le_bytes(),
                properties.as_bytes(),
                payload,
            ],
        )
    }

    /// The message at the beginning of these bytes; none if it is not whole.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (number, rest) = unseal(MESSAGE, bytes)?.split_first_chunk()?;
        let (accepted, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (properties, payload) = rest.split_at_checked(u32::from_le_bytes(*length).try_into().ok()?)?;
        let message = Message {
            accepted: u64::from_le_bytes(*accepted),
            properties: String::from_utf8(properties.to_vec()).ok()?,
            payload: Bytes::copy_from_slice(payload),
        };
        Some(Self { number: u64::from_le_bytes(*number), message })
    }
}

/// A note that every message before this number is done with.
pub(super) fn encode_done(first_stored: u64) -> Vec<u8> {
    seal(DONE, &[&first_stored.to_le_bytes()])
}

/// The number in the note at the beginning of these bytes; none if it is not whole.
pub(super) fn decode_done(bytes: &[u8]) -> Option<u64> {
    unseal(DONE, bytes)?.try_into().ok().map(u64::from_le_bytes)
}

/// Whose messages these are, as JSON.
pub(super) fn encode_sender(json: &[u8]) -> Vec<u8> {
    seal(SENDER, &[json])
}

/// What [`scan`] finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Message(Stored),
    DoneBefore(u64),
    Sender(Vec<u8>),
}

/// Whole records in any bytes, if they begin among the first `beginnings`.
pub(super) fn scan(bytes: &[u8], beginnings: usize) -> impl Iterator<Item = Found> + '_ {
    (0..beginnings.min(bytes.len())).filter(|at| bytes[*at] == MESSAGE[0]).filter_map(|at| {
        let bytes = &bytes[at..];
        let message = Stored::decode(bytes).map(Found::Message);
        let done = || decode_done(bytes).map(Found::DoneBefore);
        message.or_else(done).or_else(|| unseal(SENDER, bytes).map(|json| Found::Sender(json.to_vec())))
    })
}

fn seal(mark: [u8; 8], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
    [&mark[..], &checksum(&body), &length, &body].concat()
}

fn unseal(mark: [u8; 8], bytes: &[u8]) -> Option<&[u8]> {
    let (expected, rest) = bytes.strip_prefix(&mark)?.split_first_chunk::<CHECKSUM>()?;
    let (length, rest) = rest.split_first_chunk()?;
    let body = rest.get(..u32::from_le_bytes(*length).try_into().ok()?)?;
    (checksum(body) == *expected).then_some(body)
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM] {
    let mut checksum = [0; CHECKSUM];
    checksum.copy_from_slice(&Sha256::digest(body)[..CHECKSUM]);
    checksum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(number: u64, payload: &'static [u8]) -> Stored {
        let payload = Bytes::from_static(payload);
        Stored { number, message: Message { accepted: 7, properties: "a=%C3%A9".into(), payload } }
    }

    #[test]
    fn a_message_is_read_as_it_was_written_or_not_at_all() {
        let message = stored(3, b"payload");
        let bytes = message.encode();
        assert_eq!(Stored::decode(&bytes), Some(message));
        for at in 0..bytes.len() {
            let mut torn = bytes.clone();
            torn[at] ^= 1;
            assert_eq!(Stored::decode(&torn), None, "byte {at}");
            assert_eq!(Stored::decode(&bytes[..at]), None, "the first {at} bytes");
        }
    }

    #[test]
    fn whole_records_are_found_in_any_bytes() {
        let mut bytes = vec![0; 100];
        bytes.extend(stored(1, b"first").encode());
        bytes.extend(&stored(2, b"cut").encode()[..30]);
        bytes.extend(encode_done(1));
        bytes.extend(encode_sender(b"{}"));
        bytes.extend(stored(3, b"").encode());
        let found: Vec<_> = scan(&bytes, bytes.len()).collect();
        let expected = [
            Found::Message(stored(1, b"first")),
            Found::DoneBefore(1),
            Found::Sender(b"{}".to_vec()),
            Found::Message(stored(3, b"")),
        ];
        assert_eq!(found, expected);
    }
}

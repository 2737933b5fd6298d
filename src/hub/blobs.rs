//! What devices have uploaded: block blobs in memory, as Azure Storage keeps them beside a hub.
//!
//! Filled and read by the blob endpoint, read through `LocalHub.blob()`. Also with a data file they are gone with the
//! hub: what a test uploads is looked at, and not kept.
//!
//! <https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api>

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};

/// Bytes that all blobs have together, and the blocks that no blob has yet.
pub const CAPACITY: usize = 256 << 20;
/// Blocks of one blob, as on Azure.
const MOST_BLOCKS: usize = 50_000;

/// A blob.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob {
    /// What is in it.
    pub content: Bytes,
    /// The headers that came with it and go with it: `content-type` and `x-ms-meta-…`.
    pub headers: Vec<(String, String)>,
    /// When it was written, milliseconds since 1970.
    pub modified_unix_millis: u64,
    /// Tells a version from all others; grows.
    pub version: u64,
}

/// Only if the blob that is there is like this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteCondition {
    /// There is none: `If-None-Match: *`.
    pub absent: bool,
    /// It has this version: `If-Match`.
    pub version: Option<u64>,
}

/// Why a blob can't be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It exists, and is to be new.
    Exists,
    /// It is not the version that is to be replaced.
    OtherVersion,
    /// A block is named that was not uploaded.
    NoSuchBlock,
    /// It has more blocks than a blob may have.
    TooManyBlocks,
    /// The hub's memory for blobs is used up.
    Full,
}

/// All blobs.
#[derive(Default)]
pub struct Blobs(Mutex<State>);

#[derive(Default)]
struct State {
    blobs: BTreeMap<String, Blob>,
    /// Of each blob, blocks by their ids that are not part of it yet.
    blocks: HashMap<String, HashMap<String, Bytes>>,
    bytes: usize,
    last_version: u64,
}

impl Blobs {
    /// The names, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.state().blobs.keys().cloned().collect()
    }

    /// The blob of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Blob> {
        self.state().blobs.get(name).cloned()
    }

    /// Write a whole blob; its blocks are forgotten. The blob as it is kept, with its version.
    pub(super) fn put(&self, name: &str, blob: Blob, condition: WriteCondition) -> Result<Blob, Refusal> {
        let mut state = self.state();
        state.check(name, condition)?;
        state.replace(name, blob)
    }

    /// Keep a block for a blob that is made of blocks.
    pub(super) fn put_block(&self, name: &str, id: String, content: Bytes) -> Result<(), Refusal> {
        let mut state = self.state();
        let blocks = state.blocks.get(name);
        let replaced = blocks.and_then(|blocks| blocks.get(&id)).map_or(0, Bytes::len);
        if blocks.is_some_and(|blocks| blocks.len() >= MOST_BLOCKS && !blocks.contains_key(&id)) {
            return Err(Refusal::TooManyBlocks);
        }
        state.reserve(replaced, content.len())?;
        state.blocks.entry(name.to_owned()).or_default().insert(id, content);
        Ok(())
    }

    /// Make a blob of blocks, in this order.
    pub(super) fn put_block_list(
        &self,
        name: &str,
        ids: &[String],
        blob: Blob,
        condition: WriteCondition,
    ) -> Result<Blob, Refusal> {
        let mut state = self.state();
        state.check(name, condition)?;
        if ids.len() > MOST_BLOCKS {
            return Err(Refusal::TooManyBlocks);
        }
        let mut content = BytesMut::new();
        for id in ids {
            let block = state.blocks.get(name).and_then(|blocks| blocks.get(id));
            let block = block.ok_or(Refusal::NoSuchBlock)?;
            if content.len() + block.len() > CAPACITY {
                return Err(Refusal::Full);
            }
            content.extend_from_slice(block);
        }
        state.replace(name, Blob { content: content.freeze(), ..blob })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&self, name: &str, condition: WriteCondition) -> Result<(), Refusal> {
        let current = self.blobs.get(name).map(|blob| blob.version);
        if condition.absent && current.is_some() {
            return Err(Refusal::Exists);
        }
        if condition.version.is_some() && condition.version != current {
            return Err(Refusal::OtherVersion);
        }
        Ok(())
    }

    /// Count this many bytes instead of those.
    fn reserve(&mut self, instead_of: usize, bytes: usize) -> Result<(), Refusal> {
        let total = self.bytes - instead_of + bytes;
        if total > CAPACITY {
            return Err(Refusal::Full);
        }
        self.bytes = total;
        Ok(())
    }

    fn replace(&mut self, name: &str, mut blob: Blob) -> Result<Blob, Refusal> {
        let replaced = self.blobs.get(name).map_or(0, |blob| blob.content.len());
        let blocks = self.blocks.get(name).into_iter().flat_map(HashMap::values);
        let forgotten: usize = blocks.map(Bytes::len).sum();
        self.reserve(replaced + forgotten, blob.content.len())?;
        self.blocks.remove(name);
        self.last_version += 1;
        blob.version = self.last_version;
        self.blobs.insert(name.to_owned(), blob.clone());
        Ok(blob)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: WriteCondition = WriteCondition { absent: false, version: None };

    fn blob(content: &[u8]) -> Blob {
        Blob { content: Bytes::copy_from_slice(content), ..Blob::default() }
    }

    #[test]
    fn a_blob_is_made_at_once_or_of_blocks_in_the_order_named() {
        let blobs = Blobs::default();
        blobs.put("d/a", blob(b"first"), ANY).unwrap();
        for (id, content) in [("2", "two"), ("1", "one"), ("3", "unused")] {
            blobs.put_block("d/a", id.into(), content.into()).unwrap();
        }
        assert_eq!(blobs.get("d/a").unwrap().content, "first", "blocks are no blob");
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let missing = blobs.put_block_list("d/a", &ids(&["1", "4"]), Blob::default(), ANY);
        assert_eq!(missing, Err(Refusal::NoSuchBlock));
        blobs.put_block_list("d/a", &ids(&["1", "2", "1"]), Blob::default(), ANY).unwrap();
        assert_eq!(blobs.get("d/a").unwrap().content, "onetwoone");
        assert_eq!(blobs.names(), ["d/a"]);
        let again = blobs.put_block_list("d/a", &ids(&["1"]), Blob::default(), ANY);
        assert_eq!(again, Err(Refusal::NoSuchBlock));
    }

    #[test]
    fn a_condition_is_held() {
        let blobs = Blobs::default();
        let new = WriteCondition { absent: true, version: None };
        let version = blobs.put("a", blob(b"1"), new).unwrap().version;
        assert_eq!(blobs.put("a", blob(b"2"), new), Err(Refusal::Exists));
        let same = WriteCondition { absent: false, version: Some(version) };
        blobs.put("a", blob(b"3"), same).unwrap();
        assert_eq!(blobs.put("a", blob(b"4"), same), Err(Refusal::OtherVersion));
        assert_eq!(blobs.get("a").unwrap().content, "3");
    }

    #[test]
    fn there_is_an_end_to_the_room_and_what_is_replaced_makes_room() {
        let blobs = Blobs::default();
        let half = Bytes::from(vec![0; CAPACITY / 2]);
        blobs.put_block("a", "1".into(), half.clone()).unwrap();
        blobs.put("b", Blob { content: half.clone(), ..Blob::default() }, ANY).unwrap();
        assert_eq!(blobs.put_block("a", "2".into(), "x".into()), Err(Refusal::Full));
        assert_eq!(blobs.put("c", blob(b"x"), ANY), Err(Refusal::Full));
        blobs.put("b", Blob { content: half, ..Blob::default() }, ANY).unwrap();
        blobs.put_block_list("a", &["1".into()], Blob::default(), ANY).unwrap();
        blobs.put("b", blob(b""), ANY).unwrap();
        blobs.put("c", blob(b"x"), ANY).unwrap();
    }
}

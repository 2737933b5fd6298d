//! What comes to the blob endpoint: conditions, ranges, lists of blocks.

use std::ops::RangeInclusive;

use axum::http::header::{CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH, RANGE};
use axum::http::{HeaderMap, HeaderName};

use super::answers::BlobError;
use crate::hub::blobs::WriteCondition;

const META: &str = "x-ms-meta-";
const BLOB_CONTENT_TYPE: HeaderName = HeaderName::from_static("x-ms-blob-content-type");
const STORAGE_RANGE: HeaderName = HeaderName::from_static("x-ms-range");
/// How a list of blocks names one; the hub keeps none of those that are part of a blob.
const LATEST: [&str; 2] = ["Latest", "Uncommitted"];

/// The headers that a blob keeps, in lower case.
pub(super) fn kept_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let kind = text(&BLOB_CONTENT_TYPE).or_else(|| text(&CONTENT_TYPE));
    let kind = kind.unwrap_or_else(|| "application/octet-stream".to_owned());
    let meta = headers.keys().filter(|name| name.as_str().starts_with(META));
    let meta = meta.filter_map(|name| Some((name.to_string(), text(name)?)));
    [(CONTENT_TYPE.to_string(), kind)].into_iter().chain(meta).collect()
}

/// `If-None-Match: *` and `If-Match`; others are refused, as they would not be held.
pub(super) fn write_condition(headers: &HeaderMap) -> Result<WriteCondition, BlobError> {
    let absent = match headers.get(IF_NONE_MATCH) {
        None => false,
        Some(value) if value == "*" => true,
        Some(_) => return Err(BlobError::UNSUPPORTED),
    };
    let etag = headers.get(IF_MATCH).filter(|etag| *etag != "*");
    // What is no version of this hub is that of no blob.
    let version = etag.map(|etag| etag.to_str().ok().and_then(version_of).unwrap_or_default());
    Ok(WriteCondition { absent, version })
}

fn version_of(etag: &str) -> Option<u64> {
    u64::from_str_radix(etag.trim_matches('"').strip_prefix("0x")?, 16).ok()
}

/// The bytes that are asked for, of `x-ms-range` or `Range`: those from the first to the last.
pub(super) fn range(headers: &HeaderMap) -> Option<RangeInclusive<usize>> {
    let text = headers.get(STORAGE_RANGE).or_else(|| headers.get(RANGE))?.to_str().ok()?;
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let last = if last.is_empty() { usize::MAX } else { last.parse().ok()? };
    Some(first.parse().ok()?..=last)
}

/// The ids in `<BlockList><Latest>…</Latest>…</BlockList>`, in order. None if it is no such list.
pub(super) fn block_ids(body: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, inside) = text.split_once("<BlockList")?;
    let (_, inside) = inside.split_once('>')?;
    let (mut inside, _) = inside.split_once("</BlockList>").unwrap_or(("", ""));
    let mut ids = Vec::new();
    while let Some((_, rest)) = inside.split_once('<') {
        let (name, rest) = rest.split_once('>')?;
        let (id, rest) = rest.split_once(&format!("</{name}>"))?;
        if !LATEST.contains(&name) {
            return None;
        }
        ids.push(id.trim().to_owned());
        inside = rest;
    }
    Some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_blocks_is_read_and_nothing_else() {
        let list = "<?xml version='1.0' encoding='utf-8'?>\n<BlockList><Latest>AA==</Latest>\n \
                    <Uncommitted>AQ==</Uncommitted></BlockList>";
        assert_eq!(block_ids(list.as_bytes()).unwrap(), ["AA==", "AQ=="]);
        assert_eq!(block_ids(b"<BlockList />").unwrap(), [""; 0]);
        for wrong in
            ["", "<BlockList><Latest>AA==</BlockList>", "<BlockList><Committed>A</Committed></BlockList>"]
        {
            assert_eq!(block_ids(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn a_range_has_a_first_byte_and_perhaps_a_last() {
        let of = |name: &'static str, text: &str| {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(name), text.parse().unwrap())]);
            range(&headers)
        };
        assert_eq!(of("x-ms-range", "bytes=0-511"), Some(0..=511));
        assert_eq!(of("range", "bytes=512-"), Some(512..=usize::MAX));
        assert_eq!(of("range", "bytes=-5"), None);
        assert_eq!(of("range", "lines=1-2"), None);
    }
}

//! Moments as IoT Hub writes them.
//!
//! A moment is milliseconds since 1970 (what [`crate::clock::Clock`] tells) until it is written.

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// What stands for "never" in identities and twins.
pub const NEVER: &str = "0001-01-01T00:00:00Z";

const SEVEN_DIGITS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:7]Z");
const AMERICAN: &[BorrowedFormatItem<'_>] =
    format_description!("[month]/[day]/[year] [hour]:[minute]:[second]");
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
/// .NET counts in 100 ns since the year 1; this many of them lie before 1970.
const TICKS_BEFORE_1970: u64 = 621_355_968_000_000_000;

/// `2024-03-01T10:15:30.1230000Z`, UTC with seven digits of the second.
#[must_use]
pub fn timestamp(unix_millis: u64) -> String {
    write(unix_millis, SEVEN_DIGITS)
}

/// A moment that may not have come yet: [`NEVER`] then.
#[must_use]
pub fn timestamp_or_never(unix_millis: Option<u64>) -> String {
    unix_millis.map_or_else(|| NEVER.to_owned(), timestamp)
}

/// `03/01/2024 10:15:30`, UTC, as in tracking ids.
#[must_use]
pub fn american_timestamp(unix_millis: u64) -> String {
    write(unix_millis, AMERICAN)
}

/// `Fri, 01 Mar 2024 10:15:30 GMT`, as in headers of HTTP: RFC 9110, 5.6.7.
#[must_use]
pub fn http_date(unix_millis: u64) -> String {
    write(unix_millis, HTTP_DATE)
}

/// .NET ticks: 100 ns since the year 1.
#[must_use]
pub fn ticks(unix_millis: u64) -> u64 {
    TICKS_BEFORE_1970 + unix_millis * 10_000
}

/// Read a moment of ISO 8601 such as `2024-03-01T10:15:30.123Z`; UTC if it names no zone.
#[must_use]
pub fn parse_timestamp(text: &str) -> Option<u64> {
    let read = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
    let moment = read(text).or_else(|| read(&format!("{text}Z")))?;
    u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()
}

fn write(unix_millis: u64, format: &[BorrowedFormatItem<'_>]) -> String {
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_millis) * 1_000_000);
    // Beyond the year 9999 only: no clock shows it.
    let moment = moment.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    moment.format(format).unwrap_or_else(|_| NEVER.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_the_service_writes_them() {
        assert_eq!(timestamp(1_709_288_130_123), "2024-03-01T10:15:30.1230000Z");
        assert_eq!(american_timestamp(1_709_288_130_123), "03/01/2024 10:15:30");
        assert_eq!(ticks(0), 621_355_968_000_000_000);
        assert_eq!(timestamp_or_never(None), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn moments_are_read_with_and_without_a_zone() {
        for text in
            ["2024-03-01T10:15:30.1230000Z", "2024-03-01T10:15:30.123", "2024-03-01T11:15:30.123+01:00"]
        {
            assert_eq!(parse_timestamp(text), Some(1_709_288_130_123), "{text}");
        }
        for text in ["", "soon", "1709288130", "0001-01-01T00:00:00Z"] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }
}

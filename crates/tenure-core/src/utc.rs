//! Moments of the wall clock as text: RFC 3339 in UTC, to the millisecond.
//!
//! Pure. The calendar is that of Howard Hinnant's `civil_from_days`: days are counted in eras of 400 years that begin
//! with March, so that the leap day is the last of its year.

const DAY: u64 = 86_400_000;

/// Days from the first of March of the year 0 to the Unix epoch.
const EPOCH: u64 = 719_468;

/// Length of [`text`] up to the year 9999.
pub const LENGTH: usize = 24;

/// `2026-01-02T03:04:05.678Z` of so many milliseconds since the Unix epoch.
#[must_use]
pub fn text(ms: u64) -> String {
    let (days, rest) = (ms / DAY + EPOCH, ms % DAY);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", rest % 1_000)
}

/// Reads what [`text`] writes, and the same without the end of it, the day at least: `2026-01-02`, `2026-01-02T03:04`,
/// `2026-01-02 03:04:05Z`. `None` for anything else, and for what comes before the Unix epoch.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time.strip_suffix('Z').unwrap_or(time))),
        None => (text, None),
    };
    let mut date = date.splitn(3, '-').zip([4, 2, 2]);
    let (year, month, day) = (number(date.next())?, number(date.next())?, number(date.next())?);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let longest = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=longest).contains(&day) {
        return None;
    }
    let (year, march_month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let of_year = (153 * march_month + 2) / 5 + day - 1;
    let days = (365 * year + year / 4 - year / 100 + year / 400 + of_year).checked_sub(EPOCH)?;
    Some(days * DAY + time.map_or(Some(0), of_day)?)
}

/// Milliseconds of a day: `03:04`, `03:04:05` or `03:04:05.678`.
fn of_day(time: &str) -> Option<u64> {
    let (time, part) = time.split_once('.').unwrap_or((time, "000"));
    let mut parts = time.splitn(3, ':').zip([2, 2, 2]);
    let (hour, minute) = (number(parts.next())?, number(parts.next())?);
    let second = parts.next().map_or(Some(0), |part| number(Some(part)))?;
    let ms = number(Some((part, 3)))?;
    let counts = hour < 24 && minute < 60 && second < 60 && (time.len() == 8 || part == "000");
    counts.then_some(((hour * 60 + minute) * 60 + second) * 1_000 + ms)
}

/// A number of exactly so many digits.
fn number(part: Option<(&str, usize)>) -> Option<u64> {
    let (text, digits) = part?;
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar_and_read_back() {
        for (ms, written) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_001, "2000-02-29T00:00:00.001Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(text(ms), written);
            assert_eq!(written.len(), LENGTH);
            assert_eq!(parse(written), Some(ms), "{written}");
        }
    }

    #[test]
    fn the_end_may_be_left_out() {
        let day = parse("2026-11-28").expect("a day");
        assert_eq!(text(day), "2026-11-28T00:00:00.000Z");
        assert_eq!(parse("2026-11-28T01:02"), Some(day + 3_720_000));
        assert_eq!(parse("2026-11-28 01:02:03Z"), Some(day + 3_723_000));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in [
            "",
            "now",
            "2026",
            "2026-13-01",
            "2026-02-29",
            "2026-1-1",
            "1969-12-31",
            "2026-11-28T",
            "2026-11-28T24:00",
            "2026-11-28T01",
            "2026-11-28T01:02.5",
            "2026-11-28T01:02:03.4Z",
            "2026-11-28T01:02:03+01:00",
            "-026-11-28",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}

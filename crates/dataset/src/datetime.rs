//! Dates as they stand in files, and what can be taken from them. The clock is read as written; a zone is told beside
//! it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that can be taken from a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DatetimePart {
    /// 2016
    Year,
    /// 1 to 4
    Quarter,
    /// 1 to 12
    Month,
    /// Day of the month, 1 to 31
    #[serde(alias = "day_of_month")]
    Day,
    /// 0 (Monday) to 6
    Weekday,
    /// 0 to 23
    Hour,
    /// 0 to 59
    Minute,
    /// 1 on Saturdays and Sundays, else 0
    IsWeekend,
    /// 1 to 366
    DayOfYear,
    /// Days since 1970-01-01, with a fraction for the time of day
    EpochDays,
}

impl DatetimePart {
    /// The name after the dot of the new column.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Quarter => "quarter",
            Self::Month => "month",
            Self::Day => "day",
            Self::Weekday => "weekday",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::IsWeekend => "is_weekend",
            Self::DayOfYear => "day_of_year",
            Self::EpochDays => "epoch_days",
        }
    }

    /// The number itself.
    pub(crate) fn of(self, moment: Moment) -> f64 {
        match self {
            Self::Year => f64::from(moment.year),
            Self::Quarter => f64::from(moment.month.div_ceil(3)),
            Self::Month => f64::from(moment.month),
            Self::Day => f64::from(moment.day),
            Self::Weekday => moment.weekday() as f64,
            Self::Hour => f64::from(moment.second_of_day / 3600),
            Self::Minute => f64::from(moment.second_of_day / 60 % 60),
            Self::IsWeekend => f64::from(moment.weekday() >= 5),
            Self::DayOfYear => moment.day_of_year() as f64,
            Self::EpochDays => moment.epoch_day() as f64 + f64::from(moment.second_of_day) / 86_400.0,
        }
    }

    /// How many slots there are.
    pub(crate) fn n_slots(self) -> usize {
        match self {
            Self::DayOfYear => 2 * YEAR_SLOTS,
            Self::Day => 4 * MONTH_SLOTS,
            _ => 60,
        }
    }

    /// The slot of a moment; see [`crate::ChannelSource::Calendar`].
    pub(crate) fn slot_of(self, moment: Moment) -> usize {
        let number = self.of(moment) as usize;
        match self {
            Self::DayOfYear if is_leap(moment.year) => number + YEAR_SLOTS,
            Self::Day => number + MONTH_SLOTS * (days_in_month(moment.year, moment.month) as usize - 28),
            _ => number,
        }
    }

    /// The share of its period that has passed, from 0 to below 1; `None` for what does not repeat itself.
    pub(crate) fn turn(self) -> Option<fn(Moment) -> f64> {
        Some(match self {
            Self::Quarter => |moment| (Self::Quarter.of(moment) - 1.0) / 4.0,
            Self::Month => |moment| (Self::Month.of(moment) - 1.0) / 12.0,
            Self::Day => |moment| (Self::Day.of(moment) - 1.0) / f64::from(days_in_month(moment.year, moment.month)),
            Self::Weekday => |moment| Self::Weekday.of(moment) / 7.0,
            Self::Hour => |moment| Self::Hour.of(moment) / 24.0,
            Self::Minute => |moment| Self::Minute.of(moment) / 60.0,
            Self::DayOfYear => {
                |moment| (Self::DayOfYear.of(moment) - 1.0) / if is_leap(moment.year) { 366.0 } else { 365.0 }
            }
            Self::Year | Self::IsWeekend | Self::EpochDays => return None,
        })
    }
}

/// Days of a month, and 0.
const MONTH_SLOTS: usize = 32;
/// Days of a leap year, and 0.
const YEAR_SLOTS: usize = 367;

/// Seconds of a day.
pub(crate) const DAY_SECONDS: i64 = 86_400;

/// A date and a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    year: i32,
    month: u32,
    day: u32,
    second_of_day: u32,
}

impl Moment {
    /// The moment `seconds` after 1970-01-01 00:00:00: `civil_from_days` of the same source as [`Self::epoch_day`].
    pub(crate) fn from_epoch(seconds: i64) -> Self {
        let days = seconds.div_euclid(DAY_SECONDS) + 719_468;
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * month + 2) / 5 + 1) as u32;
        let month = (if month < 10 { month + 3 } else { month - 9 }) as u32;
        let year = year_of_era + days.div_euclid(146_097) * 400 + i64::from(month <= 2);
        Self { year: year as i32, month, day, second_of_day: seconds.rem_euclid(DAY_SECONDS) as u32 }
    }

    /// Seconds since 1970-01-01 00:00:00 on the same clock.
    pub(crate) fn epoch(self) -> i64 {
        self.epoch_day() * DAY_SECONDS + i64::from(self.second_of_day)
    }

    /// Months since the year 0.
    pub(crate) fn month_number(self) -> i64 {
        i64::from(self.year) * 12 + i64::from(self.month) - 1
    }

    /// The same time of day on `day` of a month as counted by [`Self::month_number`], or on its last day if it is
    /// shorter.
    pub(crate) fn in_month(self, month_number: i64, day: u32) -> Self {
        let (year, month) = (month_number.div_euclid(12) as i32, month_number.rem_euclid(12) as u32 + 1);
        Self { year, month, day: day.min(days_in_month(year, month)), ..self }
    }

    /// Day of the month.
    pub(crate) fn day(self) -> u32 {
        self.day
    }

    /// From 0 at midnight.
    pub(crate) fn second_of_day(self) -> i64 {
        i64::from(self.second_of_day)
    }

    /// Days since 1970-01-01 in the Gregorian calendar: `days_from_civil` of Howard Hinnant's "chrono-Compatible
    /// Low-Level Date Algorithms".
    pub(crate) fn epoch_day(self) -> i64 {
        // Years begin in March here, so that a leap day is the last one.
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((i64::from(self.month) + 9) % 12) + 2) / 5 + i64::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    /// 0 is Monday; 1970-01-01 was a Thursday.
    pub(crate) fn weekday(self) -> i64 {
        (self.epoch_day() + 3).rem_euclid(7)
    }

    fn day_of_year(self) -> i64 {
        self.epoch_day() - Self { month: 1, day: 1, ..self }.epoch_day() + 1
    }
}

fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        2 => 28 + u32::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `2016-07-01 00:00:00` for seconds since 1970-01-01 on a clock without a zone.
pub fn format_time(epoch_seconds: i64) -> String {
    let Moment { year, month, day, second_of_day } = Moment::from_epoch(epoch_seconds);
    let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// How dates are written, in the words of C's `strftime`.
pub(crate) struct DateFormat {
    tokens: Vec<Token>,
    /// Month and day where the text has none; 0 if it must have them.
    default: u32,
    /// In ISO 8601 a zone may follow the minutes.
    is_iso: bool,
}

/// What a text says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading {
    pub moment: Moment,
    /// In seconds east of Greenwich, if the text has one.
    pub zone: Option<i32>,
    /// Whether there is more than the whole second.
    pub has_fraction: bool,
    unit: Unit,
}

/// The finest that a text names.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Unit {
    Year,
    Month,
    Day,
    Time,
}

impl Reading {
    /// The last second of the year, the month or the day, where the text names no time of day; else the moment.
    pub(crate) fn last_second(&self) -> i64 {
        let months_on = |n: i64| self.moment.in_month(self.moment.month_number() + n, 1).epoch() - 1;
        match self.unit {
            Unit::Year => months_on(12),
            Unit::Month => months_on(1),
            Unit::Day => self.moment.epoch() + DAY_SECONDS - 1,
            Unit::Time => self.moment.epoch(),
        }
    }
}

#[derive(Clone, Copy)]
enum Token {
    /// A field such as `Y`.
    Field(char),
    /// A character that stands for itself.
    Literal(char),
    /// The rest may be left out from here on.
    OptionalRest,
    /// A point and digits, or nothing.
    Fraction,
    /// A time zone, or none.
    Zone,
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

impl DateFormat {
    /// Dates of ISO 8601 with or without a time of day.
    pub(crate) const ISO: &str = "ISO 8601";

    /// Says what is wrong with a format.
    pub(crate) fn new(format: &str) -> Result<Self, String> {
        use Token::{Field, Literal, OptionalRest};
        if format == Self::ISO {
            let day = [Field('Y'), Literal('-'), Field('m'), Literal('-'), Field('d'), OptionalRest, Literal('T')];
            return Ok(Self { tokens: [&day, Self::ISO_TIME].concat(), default: 0, is_iso: true });
        }
        let tokens = Self::tokens(format)?;
        let has = |wanted: char| tokens.iter().any(|token| matches!(token, Field(field) if *field == wanted));
        if (has('Y') || has('y')) && (has('m') || has('b')) && has('d') {
            return Ok(Self { tokens, default: 0, is_iso: false });
        }
        Err(format!("`{format}` lacks a year (%Y), a month (%m) or a day (%d)"))
    }

    /// For timestamps of a series, which may be those of months or years: `2016-07` and `2016` are the first day.
    /// `None` is ISO 8601.
    pub(crate) fn of_series(format: Option<&str>) -> Result<Self, String> {
        use Token::{Field, Literal, OptionalRest};
        let Some(format) = format.filter(|format| *format != Self::ISO) else {
            let month = [Field('Y'), OptionalRest, Literal('-'), Field('m')];
            let day = [OptionalRest, Literal('-'), Field('d'), OptionalRest, Literal('T')];
            return Ok(Self { tokens: [&month, &day[..], Self::ISO_TIME].concat(), default: 1, is_iso: true });
        };
        let tokens = Self::tokens(format)?;
        let is_year = |token: &Token| matches!(token, Field('Y' | 'y'));
        if tokens.iter().any(is_year) {
            return Ok(Self { tokens, default: 1, is_iso: false });
        }
        Err(format!("`{format}` lacks a year (%Y)"))
    }

    /// What follows the `T`.
    const ISO_TIME: &[Token] = &[
        Token::Field('H'),
        Token::Literal(':'),
        Token::Field('M'),
        Token::OptionalRest,
        Token::Literal(':'),
        Token::Field('S'),
        Token::Fraction,
        Token::Zone,
    ];

    fn tokens(format: &str) -> Result<Vec<Token>, String> {
        use Token::{Field, Literal};
        let mut tokens = Vec::new();
        let mut characters = format.chars();
        while let Some(character) = characters.next() {
            match (character, (character == '%').then(|| characters.next()).flatten()) {
                ('%', Some('%')) => tokens.push(Literal('%')),
                ('%', Some('z')) => tokens.push(Token::Zone),
                ('%', Some(field)) if "YymdbHMSf".contains(field) => tokens.push(Field(field)),
                ('%', found) => {
                    let found = found.map_or(String::new(), String::from);
                    return Err(format!("`%{found}` in `{format}` is not known; %Y %y %m %b %d %H %M %S %f %z are"));
                }
                (character, _) => tokens.push(Literal(character)),
            }
        }
        Ok(tokens)
    }

    /// The moment, or `None` if the text is not written that way or names no day, such as February 30.
    pub(crate) fn parse(&self, text: &str) -> Option<Moment> {
        self.read(text).map(|reading| reading.moment)
    }

    /// As [`Self::parse`], with all that the text says.
    pub(crate) fn read(&self, text: &str) -> Option<Reading> {
        let mut rest = text;
        let moment = Moment { year: 0, month: self.default, day: self.default, second_of_day: 0 };
        let mut reading = Reading { moment, zone: None, has_fraction: false, unit: Unit::Year };
        for &token in &self.tokens {
            let is_skipped = self.is_iso && rest.starts_with(['Z', '+', '-']);
            match token {
                Token::OptionalRest if rest.is_empty() => break,
                Token::OptionalRest => {}
                Token::Literal('T') => rest = rest.strip_prefix(['T', ' '])?,
                Token::Literal(':') | Token::Field('S') if is_skipped => {}
                Token::Literal(literal) => rest = rest.strip_prefix(literal)?,
                Token::Fraction => {
                    if let Some(digits) = rest.strip_prefix('.') {
                        rest = reading.take('f', digits)?;
                    }
                }
                Token::Field(field) => rest = reading.take(field, rest)?,
                Token::Zone if !rest.is_empty() => {
                    reading.zone = Some(parse_zone(rest)?);
                    rest = "";
                }
                Token::Zone => {}
            }
        }
        let moment = reading.moment;
        let is_day = (1..=12).contains(&moment.month)
            && (1..=days_in_month(moment.year, moment.month)).contains(&moment.day)
            && moment.second_of_day <= 86_400;
        (rest.is_empty() && is_day).then_some(reading)
    }
}

impl Reading {
    /// Reads one field from the beginning of `text`; the rest of it.
    fn take<'a>(&mut self, field: char, text: &'a str) -> Option<&'a str> {
        let unit = match field {
            'Y' | 'y' => Unit::Year,
            'm' | 'b' => Unit::Month,
            'd' => Unit::Day,
            _ => Unit::Time,
        };
        if unit > self.unit {
            self.unit = unit;
        }
        if field != 'f' {
            return self.moment.take(field, text);
        }
        let rest = text.trim_start_matches(|character: char| character.is_ascii_digit());
        let digits = &text[..text.len() - rest.len()];
        self.has_fraction = digits.bytes().any(|digit| digit != b'0');
        (!digits.is_empty()).then_some(rest)
    }
}

impl Moment {
    /// Reads one field from the beginning of `text`; the rest of it.
    fn take<'a>(&mut self, field: char, text: &'a str) -> Option<&'a str> {
        if field == 'b' {
            let name = text.get(..3)?.to_ascii_lowercase();
            self.month = MONTHS.iter().position(|month| *month == name)? as u32 + 1;
            return text.get(3..);
        }
        let most = if field == 'Y' { 4 } else { 2 };
        let n_digits = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let number: u32 = text[..n_digits].parse().ok()?;
        let in_hours_minutes = |most: u32, seconds: u32| (number <= most).then_some(number * seconds);
        match field {
            'Y' if n_digits == 4 => self.year = number as i32,
            // As in POSIX: 69 to 99 are of the 20th century.
            'y' if n_digits == 2 => self.year = number as i32 + if number >= 69 { 1900 } else { 2000 },
            'm' => self.month = number,
            'd' => self.day = number,
            'H' => self.second_of_day += in_hours_minutes(23, 3600)?,
            'M' => self.second_of_day += in_hours_minutes(59, 60)?,
            'S' => self.second_of_day += in_hours_minutes(60, 1)?,
            _ => return None,
        }
        Some(&text[n_digits..])
    }
}

/// Seconds east of Greenwich of `Z`, `+02`, `+0200` or `+02:00`.
fn parse_zone(text: &str) -> Option<i32> {
    if text == "Z" {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = text[1..].replace(':', "");
    let is_offset = matches!(digits.len(), 2 | 4) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: i32 = digits.parse().ok().filter(|_| is_offset)?;
    let (hours, minutes) = if digits.len() == 2 { (number, 0) } else { (number / 100, number % 100) };
    Some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days from 0000-03-01 to 2400, and back.
    #[test]
    fn days_are_counted_and_named() {
        let mut n_checked = 0;
        for day in (-719_468..157_000).step_by(13) {
            let moment = Moment::from_epoch(day * DAY_SECONDS + 86_399);
            assert_eq!((moment.epoch_day(), moment.second_of_day()), (day, 86_399));
            assert!((1..=days_in_month(moment.year, moment.month)).contains(&moment.day));
            n_checked += 1;
        }
        assert_eq!(n_checked, 67_421);
        let named = [-1, 0, 951_782_399, 951_782_400, 4_107_542_399].map(format_time);
        let expected = [
            "1969-12-31 23:59:59",
            "1970-01-01 00:00:00",
            "2000-02-28 23:59:59",
            "2000-02-29 00:00:00",
            "2100-02-28 23:59:59",
        ];
        assert_eq!(named, expected);
    }

    #[test]
    fn a_day_a_month_or_a_year_has_a_last_second() {
        let last = |format: Option<&str>, text: &str| {
            format_time(DateFormat::of_series(format).unwrap().read(text).unwrap().last_second())
        };
        assert_eq!(last(None, "2016"), "2016-12-31 23:59:59");
        assert_eq!(last(None, "2016-02"), "2016-02-29 23:59:59");
        assert_eq!(last(None, "2016-12"), "2016-12-31 23:59:59");
        assert_eq!(last(None, "2016-07-02"), "2016-07-02 23:59:59");
        assert_eq!(last(None, "2016-07-02 13:00"), "2016-07-02 13:00:00");
        assert_eq!(last(Some("%d.%m.%Y"), "02.07.2016"), "2016-07-02 23:59:59");
    }

    #[test]
    fn timestamps_of_series_are_read() {
        let read = |format: Option<&str>, text: &str| {
            let reading = DateFormat::of_series(format).unwrap().read(text)?;
            assert_eq!(reading.has_fraction, text.contains(".25"));
            Some((format_time(reading.moment.epoch()), reading.zone))
        };
        let iso = [
            ("2016", "2016-01-01 00:00:00", None),
            ("2016-07", "2016-07-01 00:00:00", None),
            ("2016-07-02", "2016-07-02 00:00:00", None),
            ("2016-07-02 13:05", "2016-07-02 13:05:00", None),
            ("2016-07-02T13:05:09.250", "2016-07-02 13:05:09", None),
            ("2016-07-02T13:05:09.000+01:00", "2016-07-02 13:05:09", Some(3600)),
            ("2016-07-02T13:05Z", "2016-07-02 13:05:00", Some(0)),
            ("2016-07-02 13:05:09-0330", "2016-07-02 13:05:09", Some(-12_600)),
            ("2016-07-02 13:05+05", "2016-07-02 13:05:00", Some(18_000)),
        ];
        for (text, expected, zone) in iso {
            assert_eq!(read(None, text), Some((expected.to_string(), zone)), "{text}");
        }
        let wrong =
            ["", "16", "2016-13", "2016-07-32", "2016-07-02 25:00", "2016-07-02 13:05 CET", "2016-07-02 13:05+1"];
        for text in wrong.into_iter().chain(["2016-07-02 13:05:09250", "2016-07-02 13:05:09.", "2016-07-02 13:05:09,2"])
        {
            assert_eq!(read(None, text), None, "{text}");
        }
        assert_eq!(read(Some("%Y-%m-%d %H:%M:%S%z"), "2016-07-02 13:05Z"), None, "only ISO 8601 may lack seconds");
        assert!(read(Some("%Y-%m-%d %H:%M:%S.%f"), "2016-07-02 13:05:09.25").is_some());
        assert_eq!(read(Some("%b %Y"), "Mar 1999"), Some(("1999-03-01 00:00:00".to_string(), None)));
        let zoned = Some(("2016-07-01 08:00:00".to_string(), Some(7200)));
        assert_eq!(read(Some("%d.%m.%Y %H:%M%z"), "01.07.2016 08:00+02:00"), zoned);
        assert!(DateFormat::of_series(Some("%H:%M")).is_err());
        assert!(DateFormat::new("%m/%Y").is_err(), "a day is needed in a table");
    }
}

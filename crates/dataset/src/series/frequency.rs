//! The distance between two steps: seconds, calendar months, or business days.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::DatetimePart;
use crate::datetime::{DAY_SECONDS, Moment};

const WEEK_SECONDS: i64 = 7 * DAY_SECONDS;
/// No two timestamps of calendar months are nearer.
const SHORTEST_MONTH: i64 = 28 * DAY_SECONDS;

/// The distance between two steps of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frequency {
    /// Steps of equal length, in seconds.
    Seconds(i64),
    /// Steps of whole calendar months.
    Months {
        /// Months of a step: 3 for quarters, 12 for years.
        months: i64,
        /// Day of the month on which steps are, or the last day of a shorter month: 1 for `MS`, 31 for `ME`.
        day: u32,
    },
    /// Monday to Friday.
    BusinessDays,
}

impl Frequency {
    /// Reads `15min`, `h`, `2h`, `D`, `B`, `W`, `MS`, `ME`, `QS`, `QE`, `YS`, `YE`; says what is wrong with anything
    /// else.
    pub fn parse(name: &str) -> Result<Self, String> {
        let unit = name.trim_start_matches(|character: char| character.is_ascii_digit());
        let digits = &name[..name.len() - unit.len()];
        let unknown = || {
            let hint = if name.starts_with("W-") { "write `W`, since a series' own first day counts" } else { KNOWN };
            format!("`{name}` is no frequency; {hint}")
        };
        let n: i64 = if digits.is_empty() { 1 } else { digits.parse().map_err(|_| unknown())? };
        let months = |months, day| Self::Months { months: n * months, day };
        let is_few = (1..=100_000).contains(&n);
        Ok(match unit {
            _ if !is_few => return Err(unknown()),
            "s" | "S" => Self::Seconds(n),
            "min" | "T" => Self::Seconds(n * 60),
            "h" | "H" => Self::Seconds(n * 3600),
            "D" | "d" => Self::Seconds(n * DAY_SECONDS),
            "W" => Self::Seconds(n * WEEK_SECONDS),
            "B" if n == 1 => Self::BusinessDays,
            "MS" => months(1, 1),
            "ME" | "M" => months(1, 31),
            "QS" => months(3, 1),
            "QE" | "Q" => months(3, 31),
            "YS" | "AS" => months(12, 1),
            "YE" | "Y" | "A" => months(12, 31),
            _ => return Err(unknown()),
        })
    }

    /// The time of step `k` of a series whose step 0 is at `start`.
    pub(crate) fn time(self, start: i64, k: i64) -> i64 {
        match self {
            Self::Seconds(seconds) => start + k * seconds,
            Self::Months { months, day } => {
                let first = Moment::from_epoch(start);
                first.in_month(first.month_number() + k * months, day).epoch()
            }
            Self::BusinessDays => {
                let number = business_day(Moment::from_epoch(start)) + k;
                let day = number.div_euclid(5) * 7 + number.rem_euclid(5) - 3;
                day * DAY_SECONDS + start.rem_euclid(DAY_SECONDS)
            }
        }
    }

    /// The last step at or before `time`, and whether it is at `time`.
    pub(crate) fn step(self, start: i64, time: i64) -> (i64, bool) {
        let k = match self {
            Self::Seconds(seconds) => (time - start).div_euclid(seconds),
            Self::Months { months, .. } => {
                let months_passed = Moment::from_epoch(time).month_number() - Moment::from_epoch(start).month_number();
                months_passed.div_euclid(months)
            }
            Self::BusinessDays => business_day(Moment::from_epoch(time)) - business_day(Moment::from_epoch(start)),
        };
        let at = self.time(start, k);
        if at > time { (k - 1, false) } else { (k, at == time) }
    }

    /// Steps of the season that is most likely, by the usual table; 1 for none.
    pub(crate) fn season_steps(self) -> usize {
        let whole = |period: i64, step: i64| (period % step == 0).then_some((period / step) as usize);
        match self {
            Self::Seconds(s) if s < DAY_SECONDS => whole(DAY_SECONDS, s).unwrap_or(1),
            Self::Seconds(WEEK_SECONDS) => 52,
            Self::Seconds(s) => whole(WEEK_SECONDS, s).unwrap_or(1),
            Self::Months { months, .. } => whole(12, months).unwrap_or(1),
            Self::BusinessDays => 5,
        }
    }

    /// What a model should know of a timestamp.
    pub(crate) fn calendar(self) -> Vec<DatetimePart> {
        use DatetimePart::{DayOfYear, Hour, Minute, Month, Weekday};
        match self {
            Self::Seconds(s) if s < 3600 => vec![Minute, Hour, Weekday, Month],
            Self::Seconds(s) if s < DAY_SECONDS => vec![Hour, Weekday, Month],
            Self::Seconds(s) if s < WEEK_SECONDS => vec![Weekday, Month],
            Self::Seconds(_) => vec![DayOfYear],
            Self::BusinessDays => vec![Weekday, Month],
            Self::Months { months: 12.., .. } => Vec::new(),
            Self::Months { .. } => vec![Month],
        }
    }

    /// Slots of the calendar profile: weekday x time of day, weekday, week of the year, or month.
    pub(crate) fn n_slots(self) -> usize {
        match self {
            Self::Seconds(s) if s < DAY_SECONDS => 7 * slots_of_day(s) as usize,
            Self::Seconds(s) if s < WEEK_SECONDS => 7,
            Self::Seconds(_) => 53,
            Self::BusinessDays => 5,
            Self::Months { .. } => 12,
        }
    }

    /// The slot of a time, from 0.
    pub(crate) fn slot(self, time: i64) -> u16 {
        let moment = Moment::from_epoch(time);
        let slot = match self {
            Self::Seconds(s) if s < DAY_SECONDS => {
                let n = slots_of_day(s);
                moment.weekday() * n + moment.second_of_day() * n / DAY_SECONDS
            }
            Self::Seconds(s) if s < WEEK_SECONDS => moment.weekday(),
            Self::Seconds(_) => (DatetimePart::DayOfYear.of(moment) as i64 - 1) / 7,
            Self::BusinessDays => moment.weekday(),
            Self::Months { .. } => moment.month_number().rem_euclid(12),
        };
        slot as u16
    }

    /// The frequency of ascending timestamps, or why there is none. Gaps do no harm while most steps are there.
    pub(crate) fn infer(series: &[Vec<i64>]) -> Result<Self, String> {
        let times = || series.iter().flatten().copied();
        let distances = || series.iter().flat_map(|times| times.windows(2).map(|pair| pair[1] - pair[0]));
        let Some(shortest) = distances().min() else {
            return Err("no series has two timestamps".to_string());
        };
        let first = times().next().unwrap_or_default();
        let is_one_clock = times().all(|time| (time - first) % DAY_SECONDS == 0);
        if is_one_clock && shortest >= SHORTEST_MONTH {
            let moments = || times().map(Moment::from_epoch);
            let day = moments().map(Moment::day).max().unwrap_or(1);
            if moments().all(|moment| moment.in_month(moment.month_number(), day) == moment) {
                let month = |time: &i64| Moment::from_epoch(*time).month_number();
                let passed =
                    series.iter().flat_map(|times| times.windows(2).map(|pair| month(&pair[1]) - month(&pair[0])));
                let (months, _) = most_frequent(passed);
                return Ok(Self::Months { months, day });
            }
        }
        let (seconds, share) = most_frequent(distances());
        let is_week_long = distances().count() >= 9 && distances().any(|distance| distance > DAY_SECONDS);
        if seconds == DAY_SECONDS && is_week_long && times().all(|time| Moment::from_epoch(time).weekday() < 5) {
            return Ok(Self::BusinessDays);
        }
        if distances().count() >= 10 && share < 0.1 {
            let percent = 100.0 * share;
            let step = Self::Seconds(seconds);
            return Err(format!("the most frequent distance, {step}, is that of only {percent:.0} % of them"));
        }
        Ok(Self::Seconds(seconds))
    }
}

const KNOWN: &str = "such as `15min`, `h`, `2h`, `D`, `B`, `W`, `MS`, `ME`, `QS`, `QE`, `YS`, `YE` are";

/// The number and share of the most frequent one; the smallest of several such.
fn most_frequent(values: impl Iterator<Item = i64>) -> (i64, f64) {
    let (mut counts, mut total) = (HashMap::<i64, usize>::new(), 0);
    for value in values {
        *counts.entry(value).or_default() += 1;
        total += 1;
    }
    let best = counts.into_iter().max_by_key(|&(value, count)| (count, std::cmp::Reverse(value)));
    best.map_or((0, 0.0), |(value, count)| (value, count as f64 / f64::from(total)))
}

/// Weekdays since a Monday before 1970; a Saturday or Sunday counts as the Friday before it.
fn business_day(moment: Moment) -> i64 {
    (moment.epoch_day() + 3).div_euclid(7) * 5 + moment.weekday().min(4)
}

/// Steps of a day, but no more than minutes.
fn slots_of_day(seconds: i64) -> i64 {
    (DAY_SECONDS / seconds).min(1440)
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut counted = |n: i64, unit: &str| if n == 1 { f.write_str(unit) } else { write!(f, "{n}{unit}") };
        match *self {
            Self::Seconds(s) if s % WEEK_SECONDS == 0 => counted(s / WEEK_SECONDS, "W"),
            Self::Seconds(s) if s % DAY_SECONDS == 0 => counted(s / DAY_SECONDS, "D"),
            Self::Seconds(s) if s % 3600 == 0 => counted(s / 3600, "h"),
            Self::Seconds(s) if s % 60 == 0 => counted(s / 60, "min"),
            Self::Seconds(s) => counted(s, "s"),
            Self::BusinessDays => f.write_str("B"),
            Self::Months { months, day } => {
                let (n, unit) = match months {
                    n if n % 12 == 0 => (n / 12, "Y"),
                    n if n % 3 == 0 => (n / 3, "Q"),
                    n => (n, "M"),
                };
                counted(n, unit)?;
                match day {
                    1 => f.write_str("S"),
                    29.. => f.write_str("E"),
                    day => write!(f, "S (day {day})"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datetime::DateFormat;

    fn time(text: &str) -> i64 {
        DateFormat::of_series(None).unwrap().parse(text).unwrap().epoch()
    }

    fn infer(texts: &[&str]) -> String {
        let times: Vec<i64> = texts.iter().map(|text| time(text)).collect();
        Frequency::infer(&[times]).map_or_else(|reason| reason, |frequency| frequency.to_string())
    }

    #[test]
    fn names_are_read_and_written() {
        for name in ["15min", "h", "2h", "D", "B", "W", "2W", "MS", "ME", "2MS", "QS", "QE", "YS", "YE", "30s"] {
            assert_eq!(Frequency::parse(name).unwrap().to_string(), name);
        }
        for name in ["", "hour", "0h", "-1h", "W-SUN", "2B", "99999999999999999999h"] {
            assert!(Frequency::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn frequencies_are_inferred() {
        assert_eq!(infer(&["2016-07-01 00:00", "2016-07-01 01:00", "2016-07-01 02:00", "2016-07-01 05:00"]), "h");
        assert_eq!(infer(&["2016-07-01 00:15", "2016-07-01 00:30", "2016-07-01 00:45"]), "15min");
        assert_eq!(infer(&["1949-01", "1949-02", "1949-03", "1949-05"]), "MS");
        assert_eq!(infer(&["2016-01-31", "2016-02-29", "2016-03-31", "2016-04-30"]), "ME");
        assert_eq!(infer(&["2016-01-15", "2016-02-15", "2016-03-15"]), "MS (day 15)");
        assert_eq!(infer(&["2015-12-31", "2016-03-31", "2016-06-30", "2016-09-30"]), "QE");
        assert_eq!(infer(&["2016", "2017", "2018", "2020"]), "YS");
        assert_eq!(infer(&["2016-07-04", "2016-07-11", "2016-07-18", "2016-08-01"]), "W");
        let business =
            ["01", "04", "05", "06", "07", "08", "11", "12", "13", "14", "15"].map(|d| format!("2016-07-{d}"));
        assert_eq!(infer(&business.each_ref().map(String::as_str)), "B");
        assert_eq!(infer(&["2016-07-04"]), "no series has two timestamps");
        let squares: Vec<i64> = (0..40).map(|i: i64| i * i * 60).collect();
        assert!(Frequency::infer(&[squares]).unwrap_err().contains("only 3 %"));
    }

    #[test]
    fn steps_and_times_are_inverse() {
        let mut n_checked = 0;
        for name in ["15min", "h", "D", "B", "W", "MS", "ME", "QE", "YS"] {
            let frequency = Frequency::parse(name).unwrap();
            let start = time(if name.ends_with('E') { "2015-12-31" } else { "2016-01-01" });
            for k in 0..500 {
                let at = frequency.time(start, k);
                assert_eq!(frequency.step(start, at), (k, true), "{name} {k}");
                assert_eq!(frequency.step(start, at + 1), (k, false), "{name} {k}");
                n_checked += 1;
            }
            assert_eq!(frequency.step(start, frequency.time(start, 7) - 1), (6, false), "{name}");
        }
        assert_eq!(n_checked, 4500);
        let ends: Vec<String> =
            (0..3).map(|k| crate::format_time(Frequency::parse("ME").unwrap().time(time("2016-01-31"), k))).collect();
        assert_eq!(ends, ["2016-01-31 00:00:00", "2016-02-29 00:00:00", "2016-03-31 00:00:00"]);
    }

    #[test]
    fn seasons_are_those_of_the_table() {
        let season = |name| Frequency::parse(name).unwrap().season_steps();
        let names = ["15min", "h", "2h", "D", "W", "MS", "QS", "YE", "B", "7h", "2D"];
        assert_eq!(names.map(season), [96, 24, 12, 7, 52, 12, 4, 1, 5, 1, 1]);
    }

    #[test]
    fn slots_repeat_with_the_calendar() {
        let slot = |name, at| Frequency::parse(name).unwrap().slot(time(at));
        assert_eq!(slot("h", "2016-07-04 00:00"), 0, "a Monday");
        assert_eq!(slot("h", "2016-07-10 23:00"), 167);
        assert_eq!(slot("15min", "2016-07-05 01:45"), 96 + 7);
        assert_eq!(slot("D", "2016-07-10"), 6);
        assert_eq!(slot("MS", "2016-12-01"), 11);
        assert_eq!(slot("W", "2016-12-31"), 52);
    }
}

//! Calendar ticks for axes of time: epoch seconds without a zone, by the proleptic Gregorian calendar.

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
pub(crate) const DAY: i64 = 86_400;
/// Times beyond the years 0 to 9999 are left to a plain axis.
pub(crate) const YEARS: std::ops::RangeInclusive<f64> = -62_167_219_200.0..=253_402_300_799.0;
pub(crate) const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The distance of two ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    /// At most a week, which begins on Monday.
    Seconds(i64),
    Months(i64),
}

const STEPS: [Step; 32] = [
    Step::Seconds(1),
    Step::Seconds(5),
    Step::Seconds(15),
    Step::Seconds(30),
    Step::Seconds(MINUTE),
    Step::Seconds(2 * MINUTE),
    Step::Seconds(5 * MINUTE),
    Step::Seconds(10 * MINUTE),
    Step::Seconds(30 * MINUTE),
    Step::Seconds(HOUR),
    Step::Seconds(2 * HOUR),
    Step::Seconds(3 * HOUR),
    Step::Seconds(6 * HOUR),
    Step::Seconds(12 * HOUR),
    Step::Seconds(DAY),
    Step::Seconds(2 * DAY),
    Step::Seconds(7 * DAY),
    Step::Seconds(14 * DAY),
    Step::Months(1),
    Step::Months(2),
    Step::Months(3),
    Step::Months(6),
    Step::Months(12),
    Step::Months(24),
    Step::Months(60),
    Step::Months(120),
    Step::Months(240),
    Step::Months(600),
    Step::Months(1_200),
    Step::Months(2_400),
    Step::Months(6_000),
    Step::Months(12_000),
];

impl Step {
    fn seconds(self) -> f64 {
        match self {
            Step::Seconds(seconds) => seconds as f64,
            Step::Months(months) => months as f64 * 30.44 * DAY as f64,
        }
    }

    /// All its multiples from `low` to `high`.
    fn multiples(self, low: i64, high: i64) -> Vec<i64> {
        match self {
            Step::Seconds(step) => {
                // 1970-01-05 was a Monday.
                let origin = 4 * DAY;
                let first = (low - origin + step - 1).div_euclid(step);
                (first..).map(|i| origin + i * step).take_while(|time| *time <= high).collect()
            }
            Step::Months(step) => {
                let (year, month, _) = civil(low);
                let first = (year * 12 + month - 1).div_euclid(step);
                let time = |i: i64| days_of((i * step).div_euclid(12), (i * step).rem_euclid(12) + 1, 1) * DAY;
                (first..).map(time).take_while(|time| *time <= high).filter(|time| *time >= low).collect()
            }
        }
    }

    /// Dates alone where the step is whole days; the year where it changes or is first seen.
    fn label(self, time: i64, is_first: bool, year_before: i64) -> String {
        let (year, month, day) = civil(time);
        let date = format!("{} {day}", MONTHS[(month - 1) as usize]);
        let second = time.rem_euclid(DAY);
        let clock = format!("{:02}:{:02}", second / HOUR, second / MINUTE % 60);
        match self {
            Step::Months(months) if months >= 12 => format!("{year:04}"),
            Step::Months(_) => format!("{year:04}-{month:02}"),
            Step::Seconds(step) if step >= DAY && year != year_before => format!("{date}, {year:04}"),
            Step::Seconds(step) if step >= DAY || second == 0 => date,
            Step::Seconds(_) if is_first => format!("{date} {clock}"),
            Step::Seconds(step) if step >= MINUTE => clock,
            Step::Seconds(_) => format!("{clock}:{:02}", second % 60),
        }
    }
}

/// At most `count` ticks at round times; `None` for times outside of the calendar.
pub(crate) fn ticks(low: f64, high: f64, count: usize) -> Option<Vec<(f64, String)>> {
    if !YEARS.contains(&low) || !YEARS.contains(&high) {
        return None;
    }
    let least = (high - low) / count.max(1) as f64;
    let step = STEPS.into_iter().find(|step| step.seconds() >= least).unwrap_or(Step::Months(24_000));
    let times = step.multiples(low.ceil() as i64, high.floor() as i64);
    let has_midnight = times.iter().any(|time| time.rem_euclid(DAY) == 0);
    let mut year_before = i64::MIN;
    let label = |(i, &time): (usize, &i64)| {
        let label = step.label(time, i == 0 && !has_midnight, year_before);
        year_before = civil(time).0;
        (time as f64, label)
    };
    Some(times.iter().enumerate().map(label).collect())
}

/// `2016-07-01`, or with the time of day where it is not midnight: `2016-07-01 05:00`. Outside of the calendar:
/// seconds.
pub(crate) fn date(time: f64) -> String {
    if !YEARS.contains(&time) {
        return crate::style::significant(time);
    }
    let time = time as i64;
    let ((year, month, day), second) = (civil(time), time.rem_euclid(DAY));
    let date = format!("{year:04}-{month:02}-{day:02}");
    if second == 0 { date } else { format!("{date} {:02}:{:02}", second / HOUR, second / MINUTE % 60) }
}

/// Year, month (1 to 12) and day (1 to 31) of epoch seconds (Hinnant, "chrono-compatible low-level date algorithms").
pub(crate) fn civil(time: i64) -> (i64, i64, i64) {
    let days = time.div_euclid(DAY) + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// Days from 1970-01-01 to a date; the inverse of `civil`.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks of a range that begins at a date.
    fn labels(from: (i64, i64, i64), hours: f64, count: usize) -> Vec<String> {
        let low = (days_of(from.0, from.1, from.2) * DAY) as f64;
        ticks(low, low + hours * 3_600.0, count).unwrap().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        // `date -u -d @N`
        for (time, expected) in [
            (0i64, "1970-01-01"),
            (-1, "1969-12-31 23:59"),
            (951_782_400, "2000-02-29"),
            (1_467_331_200, "2016-07-01"),
            (1_519_966_800, "2018-03-02 05:00"),
            (4_107_542_400, "2100-03-01"),
            (-62_135_596_800, "0001-01-01"),
        ] {
            assert_eq!(date(time as f64), expected);
        }
        for day in -800_000..800_000 {
            let (year, month, day_of_month) = civil(day * DAY);
            assert_eq!(days_of(year, month, day_of_month), day);
        }
        assert_eq!((date(1e300), date(f64::NAN)), ("1.00e300".to_string(), "n/a".to_string()));
    }

    #[test]
    fn ticks_are_round_in_the_calendar() {
        assert_eq!(labels((2018, 3, 2), 5.0, 6), ["Mar 2", "01:00", "02:00", "03:00", "04:00", "05:00"]);
        assert_eq!(labels((2018, 3, 2), 30.0, 6), ["Mar 2", "06:00", "12:00", "18:00", "Mar 3", "06:00"]);
        assert_eq!(labels((2017, 12, 30), 72.0, 4), ["Dec 30, 2017", "Dec 31", "Jan 1, 2018", "Jan 2"]);
        let mondays = labels((2018, 3, 2), 24.0 * 28.0, 5);
        assert_eq!(mondays, ["Mar 5, 2018", "Mar 12", "Mar 19", "Mar 26"]);
        assert_eq!(labels((2016, 7, 1), 24.0 * 95.0, 5), ["2016-07", "2016-08", "2016-09", "2016-10"]);
        assert_eq!(labels((2016, 7, 2), 24.0 * 730.0, 8)[..3], ["2016-10", "2017-01", "2017-04"]);
        assert_eq!(labels((1949, 1, 1), 24.0 * 365.25 * 12.0, 8)[..3], ["1950", "1952", "1954"]);
        assert_eq!(labels((1000, 1, 1), 24.0 * 365.25 * 1000.0, 5)[..2], ["1000", "1200"]);
        // Within one day: the first label has the date. Seconds only where they are needed.
        let minutes = ticks(1_519_966_900.0, 1_519_970_400.0, 7).unwrap();
        assert_eq!(minutes[..2].iter().map(|t| t.1.as_str()).collect::<Vec<_>>(), ["Mar 2 05:10", "05:20"]);
        let seconds = ticks(1_519_966_801.0, 1_519_966_861.0, 5).unwrap();
        assert_eq!(seconds[1].1, "05:00:30");
    }

    #[test]
    fn no_range_has_too_many_ticks() {
        let starts = [-62_167_219_200.0, -1.5, 0.0, 1_467_331_200.25];
        for (start, i) in starts.iter().flat_map(|start| (0..110).map(move |i| (start, i))) {
            let end = (start + 1.3f64.powi(i)).min(253_402_300_799.0);
            let ticks = ticks(*start, end, 10).unwrap();
            assert!(ticks.len() <= 12, "{start} to {end}: {ticks:?}");
            assert!(ticks.iter().all(|(time, _)| (*start..=end).contains(time)));
            assert!(end - start < 3.0 || !ticks.is_empty(), "{start} to {end}");
        }
        assert_eq!((ticks(0.0, 1e12, 5), ticks(f64::NAN, 1.0, 5)), (None, None));
    }
}

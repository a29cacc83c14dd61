//! Calendar ticks for axes of time: epoch seconds without a zone, by the proleptic Gregorian calendar.

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
pub(crate) const DAY: i64 = 86_400;
/// Times beyond the years 0 to 9999 are left to a plain axis.
const YEARS: std::ops::RangeInclusive<f64> = -62_167_219_200.0..=253_402_300_799.0;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The distance of two ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    /// At most a week, which begins on Monday.
    Seconds(i64),
    Months(i64),
}

const STEPS: [Step; 29] = [
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
    let step = STEPS.into_iter().find(|step| step.seconds() >= least).unwrap_or(Step::Months(12_000));
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

/// `2016-07-01`, or with the time of day where it is not midnight: `2016-07-01 05:00`. Outside of the calendar: seconds.
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

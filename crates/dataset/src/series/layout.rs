//! What the arrays of a batch hold, channel by channel, and where each channel comes from.

use super::encoder::SeriesEncoder;
use super::features::CalendarEncoding;
use super::frequency::Frequency;
use super::raw::derived_names;
use crate::DatetimePart;
use crate::datetime::Moment;

/// Where a channel's values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A stored channel of the series.
    Stored(usize),
    /// A target, so many steps earlier: no copy of it is made.
    Lag { target: usize, steps: usize },
    /// A channel of the calendar.
    Calendar(usize),
}

/// A named channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Channel {
    pub name: String,
    pub place: Place,
}

/// All channels. The stored ones are the number columns in the order of [`super::raw::Raw::number_names`], then
/// `one_hot`, then the holidays.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub n_targets: usize,
    pub n_numbers: usize,
    /// (text column, level): a 0/1 channel each.
    pub one_hot: Vec<(usize, String)>,
    pub has_holidays: bool,
    /// Known up to the forecast only.
    pub past: Vec<Channel>,
    /// Known over the horizon.
    pub future: Vec<Channel>,
}

impl Layout {
    pub(crate) fn new(encoder: &SeriesEncoder) -> Self {
        let targets = &encoder.data.targets;
        let derived = derived_names(targets, &encoder.features);
        let n_numbers = encoder.number_names().len();
        let (mut past, mut future, mut one_hot) = (Vec::new(), Vec::new(), Vec::new());
        let calendar = encoder.calendar_names().into_iter().enumerate();
        future.extend(calendar.map(|(i, name)| Channel { name, place: Place::Calendar(i) }));
        let (mut number, mut text) = (targets.len(), 0);
        for covariate in &encoder.covariates {
            let side = if covariate.is_future { &mut future } else { &mut past };
            let Some(levels) = &covariate.levels else {
                side.push(Channel { name: covariate.name.clone(), place: Place::Stored(number) });
                number += 1;
                continue;
            };
            for level in levels {
                let name = format!("{}={level}", covariate.name);
                side.push(Channel { name, place: Place::Stored(n_numbers + one_hot.len()) });
                one_hot.push((text, level.clone()));
            }
            text += 1;
        }
        past.extend(derived.into_iter().zip(number..).map(|(name, i)| Channel { name, place: Place::Stored(i) }));
        for &steps in &encoder.features.lags {
            let side = if steps >= encoder.windows.horizon { &mut future } else { &mut past };
            let lag =
                |(target, name)| Channel { name: format!("lag_{steps}({name})"), place: Place::Lag { target, steps } };
            side.extend(targets.iter().enumerate().map(lag));
        }
        let has_holidays = encoder.data.holiday.is_some();
        if let Some(name) = &encoder.data.holiday {
            let place = Place::Stored(n_numbers + one_hot.len());
            future.push(Channel { name: format!("is_holiday({name})"), place });
        }
        Self { n_targets: targets.len(), n_numbers, one_hot, has_holidays, past, future }
    }

    /// Channels that a series stores.
    pub(crate) fn n_stored(&self) -> usize {
        self.n_numbers + self.one_hot.len() + usize::from(self.has_holidays)
    }
}

/// Calendar channels of steps that series with one phase share.
#[derive(Clone, Debug)]
pub(crate) struct Calendar {
    /// `[n_steps]` each.
    pub channels: Vec<Vec<f32>>,
    /// Slots of the calendar profile, `[n_steps]`.
    pub slots: Vec<u16>,
}

impl Calendar {
    /// `start`: the time of step 0.
    pub(crate) fn new(
        frequency: Frequency,
        start: i64,
        n_steps: usize,
        parts: &[DatetimePart],
        encoding: CalendarEncoding,
    ) -> Self {
        let times: Vec<i64> = (0..n_steps).map(|step| frequency.time(start, step as i64)).collect();
        let moments: Vec<Moment> = times.iter().map(|&time| Moment::from_epoch(time)).collect();
        let channels = parts.iter().flat_map(|&part| part_channels(part, encoding, &moments)).collect();
        Self { channels, slots: times.iter().map(|&time| frequency.slot(time)).collect() }
    }
}

/// Names of the channels of one part of the calendar.
pub(crate) fn part_names(part: DatetimePart, encoding: CalendarEncoding) -> Vec<String> {
    let name = part.name();
    match (encoding, part.turn(), levels(part)) {
        (CalendarEncoding::Cyclic, Some(_), _) => vec![format!("{name}_sin"), format!("{name}_cos")],
        (CalendarEncoding::OneHot, _, Some((first, n))) => (first..first + n).map(|i| format!("{name}={i}")).collect(),
        _ => vec![name.to_string()],
    }
}

fn part_channels(part: DatetimePart, encoding: CalendarEncoding, moments: &[Moment]) -> Vec<Vec<f32>> {
    let channel = |value: &dyn Fn(Moment) -> f64| moments.iter().map(|&moment| value(moment) as f32).collect();
    match (encoding, part.turn(), levels(part)) {
        (CalendarEncoding::Cyclic, Some(turn), _) => {
            let angle = |moment| std::f64::consts::TAU * turn(moment);
            vec![channel(&|moment| angle(moment).sin()), channel(&|moment| angle(moment).cos())]
        }
        (CalendarEncoding::OneHot, _, Some((first, n))) => {
            let level = |i: u32| channel(&|moment| f64::from(part.of(moment) == f64::from(i)));
            (first..first + n).map(level).collect()
        }
        _ => vec![channel(&|moment| part.of(moment))],
    }
}

/// The first value and how many there are; `None` for what is 0 or 1, or has no end.
fn levels(part: DatetimePart) -> Option<(u32, u32)> {
    Some(match part {
        DatetimePart::Minute => (0, 60),
        DatetimePart::Hour => (0, 24),
        DatetimePart::Weekday => (0, 7),
        DatetimePart::Day => (1, 31),
        DatetimePart::Month => (1, 12),
        DatetimePart::Quarter => (1, 4),
        DatetimePart::DayOfYear => (1, 366),
        DatetimePart::IsWeekend | DatetimePart::Year | DatetimePart::EpochDays => return None,
    })
}

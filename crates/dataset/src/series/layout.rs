//! What the arrays of a batch hold, channel by channel, and where each channel comes from.

use serde::{Deserialize, Serialize};

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
        let calendar = encoder.calendar.iter().enumerate();
        future.extend(calendar.map(|(i, channel)| Channel { name: channel.name(), place: Place::Calendar(i) }));
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
    pub(crate) fn new(frequency: Frequency, start: i64, n_steps: usize, channels: &[CalendarChannel]) -> Self {
        let times: Vec<i64> = (0..n_steps).map(|step| frequency.time(start, step as i64)).collect();
        let moments: Vec<Moment> = times.iter().map(|&time| Moment::from_epoch(time)).collect();
        let values = |channel: &CalendarChannel| moments.iter().map(|&moment| channel.value(moment)).collect();
        Self {
            channels: channels.iter().map(values).collect(),
            slots: times.iter().map(|&time| frequency.slot(time)).collect(),
        }
    }
}

/// What a channel of the calendar says of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CalendarChannel {
    /// Sine of the share of its period that has passed.
    Sine(DatetimePart),
    /// Its cosine.
    Cosine(DatetimePart),
    /// 1 where the part has this value, else 0.
    Level(DatetimePart, u32),
    /// The part itself, 0 or 1.
    Number(DatetimePart),
}

impl CalendarChannel {
    /// The channels of these parts. A level is a channel if it is among the `moments` of the train steps and not the
    /// only one: no weight is learned for what is not seen, nor told from the bias for what never changes.
    pub(crate) fn fit(
        parts: &[DatetimePart],
        encoding: CalendarEncoding,
        moments: impl Iterator<Item = Moment>,
    ) -> Vec<Self> {
        let has_levels = |part: &DatetimePart| {
            encoding == CalendarEncoding::OneHot && part.turn().is_some() && *part != DatetimePart::DayOfYear
        };
        let mut levels: Vec<(DatetimePart, [bool; MOST_LEVELS])> =
            parts.iter().copied().filter(has_levels).map(|part| (part, [false; MOST_LEVELS])).collect();
        if !levels.is_empty() {
            for moment in moments {
                levels.iter_mut().for_each(|(part, is_seen)| is_seen[part.of(moment) as usize] = true);
            }
        }
        let of_part = |&part: &DatetimePart| match (levels.iter().find(|(other, _)| *other == part), part.turn()) {
            (Some((_, is_seen)), _) => {
                let seen = (0..).zip(is_seen).filter(|(_, is_seen)| **is_seen);
                let channels: Vec<Self> = seen.map(|(level, _)| Self::Level(part, level)).collect();
                if channels.len() > 1 { channels } else { Vec::new() }
            }
            (None, Some(_)) => vec![Self::Sine(part), Self::Cosine(part)],
            (None, None) => vec![Self::Number(part)],
        };
        parts.iter().flat_map(of_part).collect()
    }

    fn name(self) -> String {
        match self {
            Self::Sine(part) => format!("{}_sin", part.name()),
            Self::Cosine(part) => format!("{}_cos", part.name()),
            Self::Level(part, level) => format!("{}={level}", part.name()),
            Self::Number(part) => part.name().to_string(),
        }
    }

    pub(crate) fn value(self, moment: Moment) -> f32 {
        let angle = |part: DatetimePart| std::f64::consts::TAU * part.turn().map_or(0.0, |turn| turn(moment));
        let value = match self {
            Self::Sine(part) => angle(part).sin(),
            Self::Cosine(part) => angle(part).cos(),
            Self::Level(part, level) => f64::from(part.of(moment) == f64::from(level)),
            Self::Number(part) => part.of(moment),
        };
        value as f32
    }
}

/// Minutes are the most.
const MOST_LEVELS: usize = 60;

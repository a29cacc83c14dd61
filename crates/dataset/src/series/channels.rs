//! What the channels of a model are made of, for programs that make them without this crate.

use std::collections::BTreeMap;

use super::encoder::SeriesEncoder;
use super::features::RollingStatistic;
use super::layout::{CalendarChannel, Layout, Place};
use super::scaling::Scale;
use crate::DatetimePart;
use crate::datetime::{DAY_SECONDS, Moment};

/// Where the values of a channel come from. `scale` is a place in what [`SeriesEncoder::scales`] lists for a series;
/// the first places are those of the targets.
#[derive(Clone, Debug, PartialEq)]
pub enum ChannelSource {
    /// A column of numbers, scaled.
    Number {
        /// The column.
        column: String,
        /// Its scale.
        scale: usize,
    },
    /// 1 where a column has this text, else 0.
    Text {
        /// The column.
        column: String,
        /// The text.
        level: String,
    },
    /// A target as it was so many steps earlier, on the target's scale.
    Lag {
        /// Which target.
        target: usize,
        /// How much earlier.
        steps: usize,
    },
    /// A target less itself so many steps earlier, scaled.
    Difference {
        /// Which target.
        target: usize,
        /// How much earlier.
        steps: usize,
        /// Its scale.
        scale: usize,
    },
    /// A statistic of a target's last steps, the current one included, scaled.
    Rolling {
        /// Which target.
        target: usize,
        /// Over how many steps.
        window: usize,
        /// Which statistic.
        statistic: RollingStatistic,
        /// Its scale.
        scale: usize,
    },
    /// What the calendar says of a step's time.
    Calendar {
        /// What of the time counts.
        part: DatetimePart,
        /// The channel's value by slot: for most parts the number itself (0 is Monday). For the day of the month 32 are
        /// added for each day that the month has beyond 28, for the day of the year 367 in a leap year.
        values: Vec<f32>,
    },
    /// 1 on the days that have a row with a holiday, else 0.
    Holiday {
        /// The column.
        column: String,
    },
}

impl SeriesEncoder {
    /// The channels of `past_covariates` and of `future_covariates`, in their order.
    pub fn channels(&self) -> [Vec<ChannelSource>; 2] {
        let layout = Layout::new(self);
        let stored = self.stored_sources(&layout);
        let source = |place| match place {
            Place::Stored(i) => stored[i].clone(),
            Place::Lag { target, steps } => ChannelSource::Lag { target, steps },
            Place::Calendar(i) => self.calendar[i].source(),
        };
        [&layout.past, &layout.future]
            .map(|channels| channels.iter().map(|channel| source(channel.place)).collect::<Vec<_>>())
    }

    /// In the order of the stored channels.
    fn stored_sources(&self, layout: &Layout) -> Vec<ChannelSource> {
        let covariates =
            self.covariates.iter().filter(|covariate| !covariate.is_text()).map(|covariate| &covariate.name);
        let columns = self.data.targets.iter().chain(covariates);
        let mut stored: Vec<ChannelSource> =
            columns.enumerate().map(|(scale, name)| ChannelSource::Number { column: name.clone(), scale }).collect();
        for target in 0..layout.n_targets {
            for &steps in &self.features.differences {
                stored.push(ChannelSource::Difference { target, steps, scale: stored.len() });
            }
            for &window in &self.features.rolling.windows {
                for &statistic in &self.features.rolling.statistics {
                    stored.push(ChannelSource::Rolling { target, window, statistic, scale: stored.len() });
                }
            }
        }
        let texts: Vec<&String> =
            self.covariates.iter().filter(|covariate| covariate.is_text()).map(|covariate| &covariate.name).collect();
        let level = |(column, level): &(usize, String)| ChannelSource::Text {
            column: texts[*column].clone(),
            level: level.clone(),
        };
        stored.extend(layout.one_hot.iter().map(level));
        stored.extend(self.data.holiday.iter().map(|column| ChannelSource::Holiday { column: column.clone() }));
        stored
    }

    /// The scales of the number channels: those of a series that is not listed, if there are any, and those of the
    /// listed ones by name (empty where the file has one series only).
    pub fn scales(&self) -> (Option<&[Scale]>, &BTreeMap<String, Vec<Scale>>) {
        (self.scales.shared.as_deref(), &self.scales.of_series)
    }
}

impl CalendarChannel {
    fn part(self) -> DatetimePart {
        match self {
            Self::Sine(part) | Self::Cosine(part) | Self::Level(part, _) | Self::Number(part) => part,
        }
    }

    fn source(self) -> ChannelSource {
        let part = self.part();
        let mut values = vec![0.0; part.n_slots()];
        // A leap year, another one, and every minute of a day.
        let days = (0..731).map(|day| Moment::from_epoch((LEAP_YEAR + day) * DAY_SECONDS));
        let minutes = (0..1440).map(|minute| Moment::from_epoch(minute * 60));
        for moment in days.chain(minutes) {
            if let Some(value) = values.get_mut(part.slot_of(moment)) {
                *value = self.value(moment);
            }
        }
        ChannelSource::Calendar { part, values }
    }
}

/// 2000-01-01.
const LEAP_YEAR: i64 = 10_957;

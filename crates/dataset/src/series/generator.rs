//! Two years of hourly traffic, made up: the default data of a machine without any.
//!
//! The figures are statistics of the Metro Interstate Traffic Volume data (UCI, Hogue 2019) after June 2015: hourly
//! profiles by type of day, month and weather factors, and the spread and autocorrelation of what is left. The bytes
//! are the same on every machine: ChaCha8 numbers, and no arithmetic but `+ - * /` and square roots, which IEEE 754
//! rounds in one way only.

use std::fmt::Write;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::config::SeriesBuiltin;
use crate::datetime::{DAY_SECONDS, Moment};
use crate::{Column, Result, Table, format_time};

const SEED: u64 = 20_180_930;
/// 2016-01-01, and the hours from there to the end of 2017.
const START: i64 = 1_451_606_400;
const N_HOURS: usize = 731 * 24;
/// Hours before the first, for the noise to settle.
const WARM_UP: usize = 2000;

const COLUMNS: [&str; 7] = ["date_time", "temp_c", "rain_1h", "snow_1h", "clouds", "holiday", "traffic_volume"];

/// Vehicles by hour: Monday to Thursday, Friday, Saturday, Sunday, holidays.
const PROFILES: [[u16; 24]; 5] = [
    [
        629, 386, 295, 362, 883, 2856, 5565, 6179, 5645, 4990, 4410, 4617, 4807, 4807, 5103, 5611, 6400, 5965, 4464,
        3278, 2847, 2648, 2040, 1256,
    ],
    [
        772, 460, 349, 389, 838, 2662, 5263, 6082, 5389, 4860, 4604, 4947, 5207, 5143, 5390, 5764, 6116, 5548, 4663,
        3684, 3112, 3041, 2734, 1999,
    ],
    [
        1291, 796, 619, 423, 437, 767, 1326, 1949, 2810, 3515, 3970, 4366, 4624, 4559, 4557, 4480, 4470, 4341, 4054,
        3422, 3007, 3052, 3017, 2239,
    ],
    [
        1433, 886, 655, 398, 361, 542, 937, 1295, 1978, 2793, 3525, 3864, 4194, 4271, 4268, 4255, 4290, 4087, 3694,
        3195, 2820, 2389, 1832, 1228,
    ],
    [
        880, 575, 395, 363, 571, 1497, 2809, 3313, 3059, 3168, 3285, 3742, 3896, 3971, 4208, 4300, 4471, 4215, 3600,
        2992, 2572, 2307, 1858, 1261,
    ],
];
const MONTHS: [f64; 12] = [0.957, 0.996, 1.022, 1.031, 1.024, 1.033, 0.992, 1.014, 1.004, 0.997, 0.967, 0.971];
/// Standard deviation of what is left, by hour.
const NOISE: [f64; 24] = [
    227., 123., 96., 70., 80., 197., 408., 561., 538., 478., 408., 423., 446., 437., 426., 454., 532., 537., 448.,
    381., 381., 429., 526., 440.,
];
/// Mean temperature by month in degrees Celsius, and the difference between afternoon and night.
const TEMPERATURES: [f64; 12] = [-7.8, -5.2, 1.1, 6.7, 16.0, 21.0, 22.4, 20.7, 18.0, 10.5, 3.6, -5.6];
const SWING: f64 = 7.8;
/// 1000 cos(2 pi (hour - 15) / 24) for the hours from 15 to 21; the others mirror them.
const COSINE: [f64; 7] = [1000., 966., 866., 707., 500., 259., 0.];

/// Weather of an hour.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weather {
    Clear,
    Clouds,
    Mist,
    Rain,
    Thunderstorm,
    Snow,
}

impl Weather {
    /// What it does to traffic from 6 to 20 h.
    fn factor(self, hour: usize) -> f64 {
        if !(6..=20).contains(&hour) {
            return 1.0;
        }
        match self {
            Self::Clear => 1.008,
            Self::Clouds => 1.010,
            Self::Mist => 0.999,
            Self::Rain => 0.995,
            Self::Thunderstorm => 0.986,
            Self::Snow => 0.903,
        }
    }
}

/// An hour and what is known of it.
struct Hour {
    time: i64,
    holiday: Option<&'static str>,
    /// Tenths of a degree.
    temperature: i64,
    /// Hundredths of a millimetre.
    rain: i64,
    snow: i64,
    /// Percent.
    clouds: i64,
    volume: i64,
}

/// The table: columns `date_time`, `temp_c`, `rain_1h`, `snow_1h`, `clouds`, `holiday` (its name in the first hour of
/// the day, else `None`) and `traffic_volume`.
pub(crate) fn traffic_demo() -> Result<Table> {
    let hours = hours();
    let column = |name: &str, text: &dyn Fn(&Hour) -> String| {
        Column::new(name, hours.iter().map(|hour| Some(text(hour))).collect())
    };
    let holiday = |hour: &Hour| match hour.time.rem_euclid(DAY_SECONDS) {
        0 => hour.holiday.unwrap_or("None").to_string(),
        _ => "None".to_string(),
    };
    let columns = vec![
        column(COLUMNS[0], &|hour| format_time(hour.time)),
        column(COLUMNS[1], &|hour| fixed(hour.temperature, 1)),
        column(COLUMNS[2], &|hour| fixed(hour.rain, 2)),
        column(COLUMNS[3], &|hour| fixed(hour.snow, 2)),
        column(COLUMNS[4], &|hour| hour.clouds.to_string()),
        column(COLUMNS[5], &holiday),
        column(COLUMNS[6], &|hour| hour.volume.to_string()),
    ];
    Table::new(SeriesBuiltin::TrafficDemo.name(), columns)
}

/// `-0.5` for -5 and one decimal.
fn fixed(number: i64, decimals: usize) -> String {
    let unit = 10_i64.pow(decimals as u32);
    let mut text = if number < 0 { "-".to_string() } else { String::new() };
    let _ = write!(text, "{}.{:0decimals$}", number.abs() / unit, number.abs() % unit);
    text
}

fn hours() -> Vec<Hour> {
    let mut rng = Draws(ChaCha8Rng::seed_from_u64(SEED));
    let mut noise = Noise::new();
    let mut warmth = 0.0;
    for _ in 0..WARM_UP {
        noise.next(&mut rng);
        warmer(&mut warmth, &mut rng);
    }
    let (mut weather, mut weather_left) = (Weather::Clear, 0);
    let (mut incident, mut incident_left) = (1.0, 0);
    let mut hours = Vec::with_capacity(N_HOURS);
    for i in 0..N_HOURS {
        let time = START + i as i64 * 3600;
        let moment = Moment::from_epoch(time);
        let hour = i % 24;
        let celsius = climate(moment) + SWING / 2.0 * swing(hour) + warmer(&mut warmth, &mut rng);
        if weather_left == 0 {
            (weather, weather_left) = (rng.weather(celsius, moment), 3 + rng.below(10));
        }
        if incident_left == 0 {
            // One begins in 1500 hours: of 2 to 6 hours, at 20 to 70 % of the traffic.
            (incident, incident_left) = (1.0, 1);
            if rng.unit() < 1.0 / 1500.0 {
                (incident, incident_left) = (0.2 + 0.5 * rng.unit(), 2 + rng.below(5));
            }
        }
        (weather_left, incident_left) = (weather_left - 1, incident_left - 1);
        let holiday = holiday(moment);
        let volume = (expected(moment, hour, holiday, weather) + NOISE[hour] * noise.next(&mut rng)) * incident;
        let (rain, snow, clouds) = rng.sky(weather);
        hours.push(Hour {
            time,
            holiday: holiday.map(|(name, _)| name),
            temperature: (celsius * 10.0).round() as i64,
            rain,
            snow,
            clouds,
            volume: volume.round().max(0.0) as i64,
        });
    }
    hours
}

fn expected(moment: Moment, hour: usize, holiday: Option<(&str, f64)>, weather: Weather) -> f64 {
    let (profile, factor) = match (holiday, moment.weekday()) {
        (Some((_, factor)), _) => (4, factor),
        (None, 0..=3) => (0, 1.0),
        (None, weekday) => (weekday as usize - 3, 1.0),
    };
    f64::from(PROFILES[profile][hour]) * MONTHS[month(moment)] * factor * weather.factor(hour)
}

fn month(moment: Moment) -> usize {
    moment.month_number().rem_euclid(12) as usize
}

/// The mean temperature of a day: a straight line from the middle of one month to that of the next.
fn climate(moment: Moment) -> f64 {
    let from_middle = f64::from(moment.day()) - 15.5;
    let month = month(moment);
    let other = if from_middle < 0.0 { (month + 11) % 12 } else { (month + 1) % 12 };
    let share = if from_middle < 0.0 { -from_middle } else { from_middle } / 30.5;
    TEMPERATURES[month] * (1.0 - share) + TEMPERATURES[other] * share
}

/// From -1 at 3 h to 1 at 15 h.
fn swing(hour: usize) -> f64 {
    let from_afternoon = if hour >= 3 { hour.abs_diff(15) } else { hour + 9 };
    match from_afternoon {
        0..=6 => COSINE[from_afternoon] / 1000.0,
        _ => -COSINE[12 - from_afternoon] / 1000.0,
    }
}

/// Warm and cold spells: +-4 degrees that last for days.
fn warmer(warmth: &mut f64, rng: &mut Draws) -> f64 {
    *warmth = 0.985 * *warmth + 4.0 * (1.0_f64 - 0.985 * 0.985).sqrt() * rng.normal();
    *warmth
}

/// Noise of variance 1 with the autocorrelation of the data, to within .01: .774, .606 and .505 at lags 1, 2 and 3,
/// .414 at 24 and .228 at 168. One part is forgotten within hours, one repeats itself a day later, one lasts for weeks.
struct Noise {
    fast: f64,
    slow: f64,
    daily: f64,
    last_day: [f64; 24],
    place: usize,
}

impl Noise {
    fn new() -> Self {
        Self { fast: 0.0, slow: 0.0, daily: 0.0, last_day: [0.0; 24], place: 0 }
    }

    fn next(&mut self, rng: &mut Draws) -> f64 {
        let step =
            |last: f64, memory: f64, rng: &mut Draws| memory * last + (1.0 - memory * memory).sqrt() * rng.normal();
        self.fast = step(self.fast, 0.7, rng);
        self.slow = step(self.slow, 0.996, rng);
        self.daily = step(self.daily, 0.7, rng);
        let repeated = 0.9 * self.last_day[self.place] + (1.0_f64 - 0.9 * 0.9).sqrt() * self.daily;
        self.last_day[self.place] = repeated;
        self.place = (self.place + 1) % 24;
        0.54_f64.sqrt() * self.fast + 0.24_f64.sqrt() * self.slow + 0.22_f64.sqrt() * repeated
    }
}

struct Draws(ChaCha8Rng);

impl Draws {
    /// From 0 to below 1, in steps of 2^-53.
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, n: u32) -> u32 {
        (self.unit() * f64::from(n)) as u32
    }

    /// The sum of 12 uniform numbers less 6 has variance 1 and is nearly normal.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    fn weather(&mut self, celsius: f64, moment: Moment) -> Weather {
        let is_summer = (5..=7).contains(&month(moment));
        match (self.unit(), self.unit()) {
            (kind, _) if kind < 0.30 => Weather::Clear,
            (kind, _) if kind < 0.66 => Weather::Clouds,
            (kind, _) if kind < 0.80 => Weather::Mist,
            _ if celsius <= 0.5 => Weather::Snow,
            (_, wet) if is_summer && wet < 0.3 => Weather::Thunderstorm,
            _ => Weather::Rain,
        }
    }

    /// Rain and snow in hundredths of a millimetre, and clouds in percent.
    fn sky(&mut self, weather: Weather) -> (i64, i64, i64) {
        let (amount, share) = (self.unit(), self.unit());
        let clouds = |least: f64, most: f64| (least + (most - least) * share).round() as i64;
        match weather {
            Weather::Clear => (0, 0, clouds(0.0, 10.0)),
            Weather::Clouds => (0, 0, clouds(20.0, 90.0)),
            Weather::Mist => (0, 0, clouds(40.0, 100.0)),
            Weather::Rain => ((10.0 + 400.0 * amount * amount * amount).round() as i64, 0, clouds(75.0, 100.0)),
            Weather::Thunderstorm => ((50.0 + 1200.0 * amount * amount).round() as i64, 0, clouds(40.0, 100.0)),
            Weather::Snow => (0, (5.0 + 60.0 * amount * amount).round() as i64, clouds(75.0, 100.0)),
        }
    }
}

/// The federal holidays of the United States on their own days, and their traffic against that of an average holiday.
fn holiday(moment: Moment) -> Option<(&'static str, f64)> {
    let (month, day) = (month(moment) + 1, moment.day());
    // Which Monday or Thursday of the month it is, from 1; 0 on other days.
    let nth = |weekday: i64| if moment.weekday() == weekday { day.div_ceil(7) } else { 0 };
    let (monday, thursday) = (nth(0), nth(3));
    Some(match (month, day) {
        (1, 1) => ("New Years Day", 0.75),
        (1, _) if monday == 3 => ("Martin Luther King Jr Day", 1.16),
        (2, _) if monday == 3 => ("Washingtons Birthday", 1.14),
        (5, 25..) if monday > 0 => ("Memorial Day", 0.95),
        (7, 4) => ("Independence Day", 0.88),
        (9, _) if monday == 1 => ("Labor Day", 1.07),
        (10, _) if monday == 2 => ("Columbus Day", 1.28),
        (11, 11) => ("Veterans Day", 1.3),
        (11, _) if thursday == 4 => ("Thanksgiving Day", 0.82),
        (12, 25) => ("Christmas Day", 0.65),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::table::hex;

    #[test]
    fn the_bytes_are_pinned() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("traffic.csv");
        traffic_demo().unwrap().write_csv(&[], &path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(hex(&Sha256::digest(&bytes)), "20acf4e676ca5f92e7590d78cbc9ed0146ac7bc9ad9250303bb74d7aa00ffe96");
        let text = String::from_utf8(bytes).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next().unwrap(), "date_time,temp_c,rain_1h,snow_1h,clouds,holiday,traffic_volume");
        assert!(lines.next().unwrap().starts_with("2016-01-01 00:00:00,"));
        assert!(lines.next_back().unwrap().starts_with("2017-12-31 23:00:00,"));
        assert_eq!(text.lines().count(), 1 + 17_544);
    }

    #[test]
    fn numbers_have_their_decimals() {
        let texts = [(0, 1), (5, 1), (-5, 1), (-123, 1), (7, 2), (1237, 2)].map(|(number, n)| fixed(number, n));
        assert_eq!(texts, ["0.0", "0.5", "-0.5", "-12.3", "0.07", "12.37"]);
    }

    /// US Office of Personnel Management, federal holidays of 2016 and 2017; those on a weekend on their own day.
    #[test]
    fn holidays_are_those_of_the_calendar() {
        let hours = hours();
        let first_hours = hours.iter().filter(|hour| hour.time % DAY_SECONDS == 0 && hour.holiday.is_some());
        let days: Vec<String> = first_hours.map(|hour| format_time(hour.time)[..10].to_string()).collect();
        let expected = [
            "2016-01-01",
            "2016-01-18",
            "2016-02-15",
            "2016-05-30",
            "2016-07-04",
            "2016-09-05",
            "2016-10-10",
            "2016-11-11",
            "2016-11-24",
            "2016-12-25",
            "2017-01-01",
            "2017-01-16",
            "2017-02-20",
            "2017-05-29",
            "2017-07-04",
            "2017-09-04",
            "2017-10-09",
            "2017-11-11",
            "2017-11-23",
            "2017-12-25",
        ];
        assert_eq!(days, expected);
    }

    /// The residual over its hour's standard deviation; 0 on holidays. The weather is guessed from the columns: its
    /// factors differ by less than 3 %, but for snow.
    fn residuals(hours: &[Hour]) -> Vec<f64> {
        let of_hour = |hour: &Hour| {
            let weather = match (hour.rain, hour.snow, hour.clouds) {
                (_, 1.., _) => Weather::Snow,
                (1.., ..) => Weather::Rain,
                (.., 0..=10) => Weather::Clear,
                _ => Weather::Clouds,
            };
            let (moment, of_day) = (Moment::from_epoch(hour.time), (hour.time.rem_euclid(DAY_SECONDS) / 3600) as usize);
            let left = hour.volume as f64 - expected(moment, of_day, None, weather);
            if hour.holiday.is_some() { 0.0 } else { left / NOISE[of_day] }
        };
        hours.iter().map(of_hour).collect()
    }

    #[test]
    fn the_noise_is_that_of_the_data() {
        let hours = hours();
        assert!(hours.iter().all(|hour| hour.volume >= 0));
        let left = residuals(&hours);
        for of_day in 0..24 {
            let same: Vec<f64> = left.iter().skip(of_day).step_by(24).copied().filter(|z| *z != 0.0).collect();
            let spread = (same.iter().map(|z| z * z).sum::<f64>() / same.len() as f64).sqrt();
            assert!((0.9..1.15).contains(&spread), "{of_day} h: {spread}");
        }
        let mean = left.iter().sum::<f64>() / left.len() as f64;
        let product = |lag: usize| -> f64 { left[lag..].iter().zip(&left).map(|(a, b)| (a - mean) * (b - mean)).sum() };
        for (lag, expected) in [(1, 0.774), (2, 0.606), (3, 0.505), (24, 0.414), (168, 0.228)] {
            let found = product(lag) / product(0);
            assert!((found - expected).abs() < 0.03, "lag {lag}: {found}");
        }
        // Incidents are rare: hours far below what is to be expected by day.
        let lost = hours.iter().zip(&left).filter(|(hour, z)| hour.holiday.is_none() && **z < -3.5).count();
        assert!((10..100).contains(&lost), "{lost}");
    }

    #[test]
    fn the_weather_is_that_of_the_seasons() {
        let hours = hours();
        for (of_year, expected) in TEMPERATURES.iter().enumerate() {
            let same = hours.iter().filter(|hour| month(Moment::from_epoch(hour.time)) == of_year);
            let (sum, n) = same.fold((0, 0), |(sum, n), hour| (sum + hour.temperature, n + 1));
            let mean = sum as f64 / 10.0 / f64::from(n);
            assert!((mean - expected).abs() < 3.0, "month {of_year}: {mean}");
        }
        let share = |is: fn(&Hour) -> bool| hours.iter().filter(|hour| is(hour)).count() as f64 / hours.len() as f64;
        assert!((0.05..0.2).contains(&share(|hour| hour.rain > 0)));
        assert!((0.03..0.15).contains(&share(|hour| hour.snow > 0)));
        assert!(hours.iter().all(|hour| (0..=100).contains(&hour.clouds)));
    }
}

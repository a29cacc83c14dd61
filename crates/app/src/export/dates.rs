//! Dates in a graph: texts are taken apart at the marks between their fields, and calendar parts computed from them.

use std::f64::consts::TAU;

use dataset::DatetimePart;
use modeling::onnx::{Attribute, Element, Graph, Value};

use super::Unsupported;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// The moment of each row as its text says it; a zone is passed over. `[rows]` of `int64` each.
pub struct Moments {
    year: Value,
    month: Value,
    day: Value,
    hour: Value,
    minute: Value,
    second: Value,
}

/// A text that can be read in `format` (`strftime`'s words; `None` is ISO 8601), to stand in for a missing one.
pub fn stand_in(format: Option<&str>) -> String {
    let Some(format) = format else { return "2000-01-01".to_owned() };
    let fields = [("%Y", "2000"), ("%y", "00"), ("%b", "jan"), ("%m", "01"), ("%d", "01"), ("%z", "")];
    let text = fields.iter().fold(format.to_owned(), |text, (field, value)| text.replace(field, value));
    ["%H", "%M", "%S", "%f"].iter().fold(text, |text, field| text.replace(field, "00")).replace("%%", "%")
}

impl Moments {
    /// Reads texts `[rows]`, none of them missing. Where a text is no date, running the graph fails or gives a wrong date.
    pub fn parse(graph: &mut Graph, text: &Value, format: Option<&str>) -> Result<Self, Unsupported> {
        match format {
            None => Ok(Self::parse_iso(graph, text)),
            Some(format) => Self::parse_fields(graph, text, format),
        }
    }

    /// `2016`, `2016-07`, `2016-07-01`, `2016-07-01 18:30`, `2016-07-01T18:30:00.5+02:00`
    fn parse_iso(graph: &mut Graph, text: &Value) -> Self {
        let [year, rest] = split(graph, text, "-");
        let [month, rest] = split(graph, &rest, "-");
        // The time of day stands behind a `T` or a blank.
        let [rest, after_t] = split(graph, &rest, "T");
        let [day, after_blank] = split(graph, &rest, " ");
        let has_t = is_empty(graph, &after_t);
        let time = graph.node("Where", &[&has_t, &after_blank, &after_t], &[]);
        let time = without_zone(graph, &time);
        let [hour, rest] = split(graph, &time, ":");
        let [minute, second] = split(graph, &rest, ":");
        let [second, _fraction] = split(graph, &second, ".");
        let mut number = |text: &Value, default: &str| {
            let (missing, default) = (is_empty(graph, text), graph.texts(&[default], &[1]));
            let text = graph.node("Where", &[&missing, &default, text], &[]);
            graph.cast(&text, Element::Int64)
        };
        Self {
            year: number(&year, "0"),
            month: number(&month, "1"),
            day: number(&day, "1"),
            hour: number(&hour, "0"),
            minute: number(&minute, "0"),
            second: number(&second, "0"),
        }
    }

    fn parse_fields(graph: &mut Graph, text: &Value, format: &str) -> Result<Self, Unsupported> {
        let (one, zero) = (graph.ints(&[1], &[1]), graph.ints(&[0], &[1]));
        let mut found = Self {
            year: zero.clone(),
            month: one.clone(),
            day: one,
            hour: zero.clone(),
            minute: zero.clone(),
            second: zero,
        };
        let mut rest = text.clone();
        for (fields, mark) in fields_and_marks(format) {
            let mut piece = rest.clone();
            if !mark.is_empty() {
                [piece, rest] = split(graph, &rest, &mark);
            }
            let fields = match fields.strip_suffix('z') {
                Some(fields) => {
                    piece = without_zone(graph, &piece);
                    fields.to_owned()
                }
                None => fields,
            };
            found.read(graph, &piece, &fields, format)?;
        }
        Ok(found)
    }

    /// Reads fields that stand side by side without a mark.
    fn read(&mut self, graph: &mut Graph, piece: &Value, fields: &str, format: &str) -> Result<(), Unsupported> {
        match fields {
            "" | "f" => return Ok(()),
            "b" => {
                self.month = month_number(graph, piece);
                return Ok(());
            }
            _ if fields.len() > 1 && fields.contains(['b', 'f', 'z']) => {
                return Err(Unsupported::new(format!("dates as `{format}`: no mark stands between two fields")));
            }
            _ => {}
        }
        let mut rest = graph.cast(piece, Element::Int64);
        for (place, field) in fields.chars().enumerate().collect::<Vec<_>>().into_iter().rev() {
            let mut value = rest.clone();
            if place > 0 {
                let size = graph.ints(&[if field == 'Y' { 10_000 } else { 100 }], &[1]);
                value = graph.node("Mod", &[&rest, &size], &[]);
                rest = graph.node("Div", &[&rest, &size], &[]);
            }
            self.set(graph, field, value);
        }
        Ok(())
    }

    fn set(&mut self, graph: &mut Graph, field: char, value: Value) {
        match field {
            'Y' => self.year = value,
            'y' => {
                let [first, old, new] = [69, 1900, 2000].map(|year| graph.ints(&[year], &[1]));
                let is_new = graph.node("Less", &[&value, &first], &[]);
                let century = graph.node("Where", &[&is_new, &new, &old], &[]);
                self.year = graph.node("Add", &[&century, &value], &[]);
            }
            'm' => self.month = value,
            'd' => self.day = value,
            'H' => self.hour = value,
            'M' => self.minute = value,
            _ => self.second = value,
        }
    }

    /// What [`DatetimePart`] takes from a date, `[rows]` of `double`; the sine and cosine of its turn if it is to be `cyclic`
    /// and repeats itself.
    pub fn part(&self, graph: &mut Graph, part: DatetimePart, cyclic: bool) -> Vec<Value> {
        if part == DatetimePart::EpochDays {
            return vec![self.epoch_days(graph)];
        }
        let value = self.whole(graph, part);
        if !cyclic || !part.is_cyclic() {
            return vec![graph.cast(&value, Element::Double)];
        }
        let (first, longest, period) = self.period(graph, part);
        let place = plus(graph, &value, -first);
        let width = graph.ints(&[longest], &[1]);
        let row = graph.node("Mul", &[&period, &width], &[]);
        let place = graph.node("Add", &[&row, &place], &[]);
        // From a table of our own values: another sine would differ in the last bit, by which quantiles tell equal from
        // unequal.
        let angles = (0..=longest).flat_map(|period| (0..longest).map(move |i| i as f64 / period as f64 * TAU));
        let angles: Vec<f64> = angles.collect();
        [f64::sin, f64::cos]
            .map(|f| {
                let values: Vec<f64> = angles.iter().map(|&angle| f(angle)).collect();
                let values = graph.doubles(&values, &[values.len()]);
                graph.node("Gather", &[&values, &place], &[])
            })
            .to_vec()
    }

    fn whole(&self, graph: &mut Graph, part: DatetimePart) -> Value {
        match part {
            DatetimePart::Year | DatetimePart::EpochDays => self.year.clone(),
            DatetimePart::Month => self.month.clone(),
            DatetimePart::Day => self.day.clone(),
            DatetimePart::Quarter => {
                let later = plus(graph, &self.month, 2);
                whole_div(graph, &later, 3)
            }
            // From the seconds, because a leap second counts on.
            DatetimePart::Hour => {
                let seconds = self.second_of_day(graph);
                whole_div(graph, &seconds, 3600)
            }
            DatetimePart::Minute => {
                let seconds = self.second_of_day(graph);
                let minutes = whole_div(graph, &seconds, 60);
                modulo(graph, &minutes, 60)
            }
            DatetimePart::Weekday => {
                let day = self.epoch_day(graph);
                let day = plus(graph, &day, 3);
                modulo(graph, &day, 7)
            }
            DatetimePart::IsWeekend => {
                let (weekday, friday) = (self.whole(graph, DatetimePart::Weekday), graph.ints(&[4], &[1]));
                let is_weekend = graph.node("Greater", &[&weekday, &friday], &[]);
                graph.cast(&is_weekend, Element::Int64)
            }
            DatetimePart::DayOfYear => {
                let (day, first) = (self.epoch_day(graph), self.first_of_year(graph, 0));
                let days = graph.node("Sub", &[&day, &first], &[]);
                plus(graph, &days, 1)
            }
        }
    }

    /// The first value of a part that repeats itself, how many there are at most, and how many there are.
    fn period(&self, graph: &mut Graph, part: DatetimePart) -> (i64, i64, Value) {
        let mut fixed = |first: i64, n: i64| (first, n, graph.ints(&[n], &[1]));
        match part {
            DatetimePart::Quarter => fixed(1, 4),
            DatetimePart::Month => fixed(1, 12),
            DatetimePart::Weekday => fixed(0, 7),
            DatetimePart::Hour => fixed(0, 24),
            DatetimePart::Day => (1, 31, self.days_in_month(graph)),
            DatetimePart::DayOfYear => {
                let [this, next] = [0, 1].map(|on| self.first_of_year(graph, on));
                (1, 366, graph.node("Sub", &[&next, &this], &[]))
            }
            _ => fixed(0, 60),
        }
    }

    fn days_in_month(&self, graph: &mut Graph) -> Value {
        let this = Self { day: graph.ints(&[1], &[1]), ..self.dated() };
        let on = whole_div(graph, &self.month, 12);
        let month = modulo(graph, &self.month, 12);
        let next = Self {
            year: graph.node("Add", &[&self.year, &on], &[]),
            month: plus(graph, &month, 1),
            day: this.day.clone(),
            ..self.dated()
        };
        let (this, next) = (this.epoch_day(graph), next.epoch_day(graph));
        graph.node("Sub", &[&next, &this], &[])
    }

    fn first_of_year(&self, graph: &mut Graph, years_on: i64) -> Value {
        let one = graph.ints(&[1], &[1]);
        let year = plus(graph, &self.year, years_on);
        Self { year, month: one.clone(), day: one, ..self.dated() }.epoch_day(graph)
    }

    fn dated(&self) -> Self {
        Self {
            year: self.year.clone(),
            month: self.month.clone(),
            day: self.day.clone(),
            hour: self.hour.clone(),
            minute: self.minute.clone(),
            second: self.second.clone(),
        }
    }

    /// Seconds since midnight, `[rows]` of `int64`.
    pub fn second_of_day(&self, graph: &mut Graph) -> Value {
        let hours = times(graph, &self.hour, 3600);
        let minutes = times(graph, &self.minute, 60);
        let seconds = graph.node("Add", &[&hours, &minutes], &[]);
        graph.node("Add", &[&seconds, &self.second], &[])
    }

    /// Days since 1970-01-01, `[rows]` of `int64`: `days_from_civil` of Howard Hinnant's "chrono-Compatible Low-Level Date
    /// Algorithms".
    pub fn epoch_day(&self, graph: &mut Graph) -> Value {
        let march = graph.ints(&[3], &[1]);
        let is_before_march = graph.node("Less", &[&self.month, &march], &[]);
        let is_before_march = graph.cast(&is_before_march, Element::Int64);
        let year = graph.node("Sub", &[&self.year, &is_before_march], &[]);
        let era = whole_div(graph, &year, 400);
        let year_of_era = modulo(graph, &year, 400);
        let month = plus(graph, &self.month, 9);
        let month = modulo(graph, &month, 12);
        let day = times(graph, &month, 153);
        let day = plus(graph, &day, 2);
        let day = whole_div(graph, &day, 5);
        let day = graph.node("Add", &[&day, &self.day], &[]);
        let leap_days = whole_div(graph, &year_of_era, 4);
        let no_leap_days = whole_div(graph, &year_of_era, 100);
        let year_days = times(graph, &year_of_era, 365);
        let era_days = times(graph, &era, 146_097);
        let days =
            [&year_days, &leap_days, &era_days].into_iter().fold(day, |sum, x| graph.node("Add", &[&sum, x], &[]));
        let days = graph.node("Sub", &[&days, &no_leap_days], &[]);
        plus(graph, &days, -719_469)
    }

    fn epoch_days(&self, graph: &mut Graph) -> Value {
        let [day, seconds] = [self.epoch_day(graph), self.second_of_day(graph)];
        let [day, seconds] = [day, seconds].map(|value| graph.cast(&value, Element::Double));
        let day_seconds = graph.doubles(&[86_400.0], &[1]);
        let share = graph.node("Div", &[&seconds, &day_seconds], &[]);
        graph.node("Add", &[&day, &share], &[])
    }
}

/// The letters of fields that stand side by side, and the mark behind them.
fn fields_and_marks(format: &str) -> Vec<(String, String)> {
    let mut parts = vec![(String::new(), String::new())];
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        let field = (character == '%').then(|| characters.next()).flatten().filter(|&field| field != '%');
        if field.is_some() && parts.last().is_some_and(|(_, mark)| !mark.is_empty()) {
            parts.push((String::new(), String::new()));
        }
        if let Some((fields, mark)) = parts.last_mut() {
            match field {
                Some(field) => fields.push(field),
                None => mark.push(character),
            }
        }
    }
    parts
}

/// What stands before and after the first `mark`, texts `[rows]` each; all and nothing where there is none.
fn split(graph: &mut Graph, text: &Value, mark: &str) -> [Value; 2] {
    let attributes = [("delimiter", Attribute::Text(mark.to_owned())), ("maxsplit", Attribute::Int(1))];
    let [pieces, _n] = graph.node_n("StringSplit", &[text], &attributes);
    // There are as many columns as the row with the most pieces has: two empty ones more make sure that there are two.
    let shape = graph.node("Shape", &[text], &[]);
    let two = graph.ints(&[2], &[1]);
    let shape = graph.concat(&[shape, two], 0);
    let nothing = graph.texts(&[""], &[1]);
    let nothing = graph.node("Expand", &[&nothing, &shape], &[]);
    let pieces = graph.concat(&[pieces, nothing], 1);
    [0, 1].map(|column| {
        let column = graph.ints(&[column], &[]);
        graph.node("Gather", &[&pieces, &column], &[("axis", Attribute::Int(1))])
    })
}

fn is_empty(graph: &mut Graph, text: &Value) -> Value {
    let nothing = graph.texts(&[""], &[1]);
    graph.node("Equal", &[text, &nothing], &[])
}

/// A time of day without `Z`, `+02:00` or `-0500`.
fn without_zone(graph: &mut Graph, time: &Value) -> Value {
    ["Z", "+", "-"].iter().fold(time.clone(), |time, mark| split(graph, &time, mark)[0].clone())
}

/// 1 for `jan`, `Jan` or `JAN`.
fn month_number(graph: &mut Graph, name: &Value) -> Value {
    let title = |name: &str| name[..1].to_ascii_uppercase() + &name[1..];
    let names = MONTHS.iter().flat_map(|name| [(*name).to_owned(), title(name), name.to_ascii_uppercase()]);
    let numbers = (1..=12).flat_map(|month| [month; 3]);
    let attributes = [
        ("keys_strings", Attribute::Texts(names.collect())),
        ("values_int64s", Attribute::Ints(numbers.collect())),
        ("default_int64", Attribute::Int(1)),
    ];
    graph.ml_node("LabelEncoder", &[name], &attributes)
}

fn plus(graph: &mut Graph, value: &Value, number: i64) -> Value {
    let number = graph.ints(&[number], &[1]);
    graph.node("Add", &[value, &number], &[])
}

fn times(graph: &mut Graph, value: &Value, number: i64) -> Value {
    let number = graph.ints(&[number], &[1]);
    graph.node("Mul", &[value, &number], &[])
}

/// Rounded towards 0.
fn whole_div(graph: &mut Graph, value: &Value, number: i64) -> Value {
    let number = graph.ints(&[number], &[1]);
    graph.node("Div", &[value, &number], &[])
}

/// From 0 on.
fn modulo(graph: &mut Graph, value: &Value, number: i64) -> Value {
    let number = graph.ints(&[number], &[1]);
    graph.node("Mod", &[value, &number], &[])
}

//! Timestamps inside a graph: from texts, or from epoch seconds, to the fields and slots of the calendar.
//!
//! A text is taken apart at the characters between its fields. Fields that stand side by side are numbers with a known
//! count of digits, so they come apart by division. The clock is read as written: a zone is dropped.

use dataset::DatetimePart;
use modeling::onnx::{Attribute, Element, Graph, Value};

const DAY_SECONDS: i64 = 86_400;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAY: i64 = 719_468;

/// How the column of times enters a graph.
#[derive(Debug, Clone, PartialEq)]
pub enum TimeInput {
    /// As ISO 8601.
    Iso,
    /// As written, by these fields.
    Fields(Vec<Piece>),
    /// The texts cannot be taken apart in a graph: seconds since 1970-01-01 on the clock as written.
    EpochSeconds,
}

/// Digits or the name of a month, and the text behind them.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// `Y`, `m`, .. as in `strftime`; several where nothing stands between them.
    fields: String,
    /// Empty at the end.
    then: String,
}

impl TimeInput {
    /// For `data.time_format`.
    pub fn new(format: Option<&str>) -> Self {
        match format.filter(|format| *format != "ISO 8601") {
            None => Self::Iso,
            Some(format) => pieces(format).map_or(Self::EpochSeconds, Self::Fields),
        }
    }

    /// What the input holds.
    pub fn element(&self) -> Element {
        if *self == Self::EpochSeconds { Element::Int64 } else { Element::String }
    }
}

/// The pieces of a format; `None` if a graph cannot take them apart.
fn pieces(format: &str) -> Option<Vec<Piece>> {
    let mut pieces = vec![Piece { fields: String::new(), then: String::new() }];
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        let field = if character == '%' { characters.next().filter(|field| *field != '%') } else { None };
        let last = pieces.last_mut()?;
        match field {
            Some(field) if last.then.is_empty() => last.fields.push(field),
            Some(field) => pieces.push(Piece { fields: field.to_string(), then: String::new() }),
            None => last.then.push(character),
        }
    }
    pieces.iter().all(Piece::is_possible).then_some(pieces)
}

impl Piece {
    fn is_possible(&self) -> bool {
        let digits = self.digits();
        let is_number = digits.chars().all(|field| "YymdHMS".contains(field));
        // A run of numbers is read as one, and a 64-bit integer holds 18 digits.
        is_number && digits.len() <= 7 || ["b", "f"].contains(&digits)
    }

    /// The fields without a zone at the end, which nothing follows.
    fn digits(&self) -> &str {
        match self.fields.strip_suffix('z') {
            Some(digits) if self.then.is_empty() => digits,
            _ => &self.fields,
        }
    }
}

/// A time in a graph, all of one shape of 64-bit integers.
pub struct Time {
    year: Value,
    month: Value,
    day: Value,
    hour: Value,
    minute: Value,
}

/// Whole-number arithmetic of positive numbers with constants.
struct Whole<'a>(&'a mut Graph);

impl Whole<'_> {
    fn with(&mut self, op: &str, x: &Value, constant: i64) -> Value {
        let constant = self.0.ints(&[constant], &[]);
        self.0.node(op, &[x, &constant], &[])
    }

    fn both(&mut self, op: &str, x: &Value, y: &Value) -> Value {
        self.0.node(op, &[x, y], &[])
    }

    /// One constant where the condition holds, another one elsewhere.
    fn choose(&mut self, condition: &Value, x: i64, y: i64) -> Value {
        let [x, y] = [x, y].map(|number| self.0.ints(&[number], &[]));
        self.0.node("Where", &[condition, &x, &y], &[])
    }
}

impl Time {
    /// From texts, or seconds; `[..]` -> `[..]` of each field.
    pub fn read(graph: &mut Graph, input: &TimeInput, values: &Value) -> Self {
        match input {
            TimeInput::Iso => Self::from_iso(graph, values),
            TimeInput::Fields(pieces) => Self::from_pieces(graph, pieces, values),
            TimeInput::EpochSeconds => Self::from_epoch(graph, values),
        }
    }

    /// `2016-07-01 13:00:00.0+02:00`, of which all but the year may be missing.
    fn from_iso(graph: &mut Graph, texts: &Value) -> Self {
        let [before, behind_t] = first_parts(graph, texts, "T");
        let [date, behind_blank] = first_parts(graph, &before, " ");
        let mut time = graph.node("StringConcat", &[&behind_t, &behind_blank], &[]);
        for zone in ["Z", "+", "-", "."] {
            [time] = first_parts(graph, &time, zone);
        }
        let [year, month, day] = first_parts(graph, &date, "-");
        let [hour, minute] = first_parts(graph, &time, ":");
        let [year, month, day, hour, minute] =
            [year, month, day, hour, minute].map(|digits| whole_number(graph, &digits));
        let [month, day] = [month, day].map(|number| Whole(graph).with("Max", &number, 1));
        Self { year, month, day, hour, minute }
    }

    fn from_pieces(graph: &mut Graph, pieces: &[Piece], texts: &Value) -> Self {
        let one = graph.ints(&[1], &[]);
        let zero = graph.ints(&[0], &[]);
        let (mut year, mut month, mut day) = (one.clone(), one.clone(), one);
        let (mut hour, mut minute) = (zero.clone(), zero);
        let mut rest = texts.clone();
        for piece in pieces {
            let mut text = rest.clone();
            if !piece.then.is_empty() {
                [text, rest] = split_once(graph, &text, &piece.then);
            }
            if piece.fields.ends_with('z') {
                for zone in ["Z", "+", "-"] {
                    [text] = first_parts(graph, &text, zone);
                }
            }
            let mut number = match piece.digits() {
                "" | "f" => continue,
                "b" => month_of_name(graph, &text),
                _ => whole_number(graph, &text),
            };
            for (place, field) in piece.digits().char_indices().rev() {
                let (mut whole, mut value) = (Whole(graph), number.clone());
                if place > 0 {
                    let beyond = if field == 'Y' { 10_000 } else { 100 };
                    value = whole.with("Mod", &number, beyond);
                    number = whole.with("Div", &number, beyond);
                }
                match field {
                    'Y' => year = value,
                    'y' => year = full_year(graph, &value),
                    'm' | 'b' => month = value,
                    'd' => day = value,
                    'H' => hour = value,
                    'M' => minute = value,
                    _ => {}
                }
            }
        }
        Self { year, month, day, hour, minute }.same_shape(graph)
    }

    /// Fields that a format lacks are scalars; this gives all the shape of the year.
    fn same_shape(self, graph: &mut Graph) -> Self {
        let nothing = Whole(graph).with("Mul", &self.year, 0);
        let [month, day, hour, minute] =
            [self.month, self.day, self.hour, self.minute].map(|value| Whole(graph).both("Add", &value, &nothing));
        Self { year: self.year, month, day, hour, minute }
    }

    /// `civil_from_days` of Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms".
    fn from_epoch(graph: &mut Graph, seconds: &Value) -> Self {
        let mut whole = Whole(graph);
        let seconds = whole.with("Add", seconds, EPOCH_DAY * DAY_SECONDS);
        let (days, second) = (whole.with("Div", &seconds, DAY_SECONDS), whole.with("Mod", &seconds, DAY_SECONDS));
        let hour = whole.with("Div", &second, 3600);
        let minute = whole.with("Div", &second, 60);
        let minute = whole.with("Mod", &minute, 60);
        let (era, of_era) = (whole.with("Div", &days, 146_097), whole.with("Mod", &days, 146_097));
        let mut years = of_era.clone();
        for (op, length) in [("Sub", 1460), ("Add", 36_524), ("Sub", 146_096)] {
            let part = whole.with("Div", &of_era, length);
            years = whole.both(op, &years, &part);
        }
        let years = whole.with("Div", &years, 365);
        let days_of_years = days_before(&mut whole, &years);
        let of_year = whole.both("Sub", &of_era, &days_of_years);
        let month = whole.with("Mul", &of_year, 5);
        let month = whole.with("Add", &month, 2);
        let month = whole.with("Div", &month, 153);
        let before = days_before_month(&mut whole, &month);
        let day = whole.both("Sub", &of_year, &before);
        let day = whole.with("Add", &day, 1);
        let is_late = whole.with("Less", &month, 10);
        let shift = whole.choose(&is_late, 3, -9);
        let month = whole.both("Add", &month, &shift);
        let era = whole.with("Mul", &era, 400);
        let year = whole.both("Add", &era, &years);
        let is_early = whole.with("LessOrEqual", &month, 2);
        let shift = whole.choose(&is_early, 1, 0);
        Self { year: whole.both("Add", &year, &shift), month, day, hour, minute }
    }

    /// Days since 0000-03-01: `days_from_civil` of the same source.
    pub fn days(&self, graph: &mut Graph) -> Value {
        let mut whole = Whole(graph);
        let is_early = whole.with("LessOrEqual", &self.month, 2);
        let shift = whole.choose(&is_early, 1, 0);
        let year = whole.both("Sub", &self.year, &shift);
        let (era, of_era) = (whole.with("Div", &year, 400), whole.with("Mod", &year, 400));
        let month = whole.with("Add", &self.month, 9);
        let month = whole.with("Mod", &month, 12);
        let mut days = whole.with("Mul", &era, 146_097);
        for part in [days_before(&mut whole, &of_era), days_before_month(&mut whole, &month), self.day.clone()] {
            days = whole.both("Add", &days, &part);
        }
        whole.with("Sub", &days, 1)
    }

    /// The slot of a part: where a calendar channel's value stands in its table.
    pub fn slot(&self, graph: &mut Graph, part: DatetimePart) -> Value {
        let mut whole = Whole(graph);
        match part {
            DatetimePart::Year => self.year.clone(),
            DatetimePart::Quarter => {
                let quarter = whole.with("Add", &self.month, 2);
                whole.with("Div", &quarter, 3)
            }
            DatetimePart::Month => self.month.clone(),
            DatetimePart::Hour => self.hour.clone(),
            DatetimePart::Minute => self.minute.clone(),
            DatetimePart::Weekday => self.weekday(graph),
            DatetimePart::IsWeekend => {
                let weekday = self.weekday(graph);
                Whole(graph).with("Div", &weekday, 5)
            }
            DatetimePart::Day => {
                let by_month = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].map(|days| 32 * (days - 28));
                let table = graph.ints(&by_month, &[12]);
                let leap = self.is_leap(graph);
                let mut whole = Whole(graph);
                let place = whole.with("Sub", &self.month, 1);
                let length = whole.both("Gather", &table, &place);
                let is_february = whole.with("Equal", &self.month, 2);
                let is_long = whole.both("And", &leap, &is_february);
                let leap_day = whole.choose(&is_long, 32, 0);
                let length = whole.both("Add", &length, &leap_day);
                whole.both("Add", &self.day, &length)
            }
            DatetimePart::DayOfYear => self.slot_of_year(graph),
            DatetimePart::EpochDays => {
                let days = self.days(graph);
                Whole(graph).with("Sub", &days, EPOCH_DAY)
            }
        }
    }

    /// 0 is Monday; 0000-03-01 was a Wednesday.
    fn weekday(&self, graph: &mut Graph) -> Value {
        let days = self.days(graph);
        let mut whole = Whole(graph);
        let days = whole.with("Add", &days, 2);
        whole.with("Mod", &days, 7)
    }

    fn is_leap(&self, graph: &mut Graph) -> Value {
        let mut whole = Whole(graph);
        let [by_4, by_100, by_400] = [4, 100, 400].map(|years| {
            let rest = whole.with("Mod", &self.year, years);
            whole.with("Equal", &rest, 0)
        });
        let is_century = whole.both("Xor", &by_100, &by_400);
        let is_not = whole.0.node("Not", &[&is_century], &[]);
        whole.both("And", &by_4, &is_not)
    }

    /// The day of the year, 367 more in a leap year.
    fn slot_of_year(&self, graph: &mut Graph) -> Value {
        let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        let table = graph.ints(&before, &[12]);
        let leap = self.is_leap(graph);
        let mut whole = Whole(graph);
        let place = whole.with("Sub", &self.month, 1);
        let before = whole.both("Gather", &table, &place);
        let of_year = whole.both("Add", &before, &self.day);
        let is_late = whole.with("Greater", &self.month, 2);
        let has_leap_day = whole.both("And", &leap, &is_late);
        let leap_day = whole.choose(&has_leap_day, 1, 0);
        let slots = whole.choose(&leap, 367, 0);
        let of_year = whole.both("Add", &of_year, &leap_day);
        whole.both("Add", &of_year, &slots)
    }
}

/// Days of whole years from a March in which an era begins: `365 y + y / 4 - y / 100`
fn days_before(whole: &mut Whole, years: &Value) -> Value {
    let days = whole.with("Mul", years, 365);
    let fourth = whole.with("Div", years, 4);
    let hundredth = whole.with("Div", years, 100);
    let days = whole.both("Add", &days, &fourth);
    whole.both("Sub", &days, &hundredth)
}

/// Days of a year that begins in March before its month `m` from 0: `(153 m + 2) / 5`
fn days_before_month(whole: &mut Whole, month: &Value) -> Value {
    let days = whole.with("Mul", month, 153);
    let days = whole.with("Add", &days, 2);
    whole.with("Div", &days, 5)
}

/// What stands between the first delimiters of each text, a missing part being empty.
fn first_parts<const N: usize>(graph: &mut Graph, texts: &Value, delimiter: &str) -> [Value; N] {
    // At least one, because empty texts alone would have no first part either.
    let end = graph.texts(&[&delimiter.repeat(N.saturating_sub(1).max(1))], &[]);
    let ended = graph.node("StringConcat", &[texts, &end], &[]);
    parts(graph, &ended, &[("delimiter", Attribute::Text(delimiter.to_owned()))])
}

/// What stands before the first delimiter of each text, and what stands behind it.
fn split_once(graph: &mut Graph, texts: &Value, delimiter: &str) -> [Value; 2] {
    let delimiter = ("delimiter", Attribute::Text(delimiter.to_owned()));
    parts(graph, texts, &[delimiter, ("maxsplit", Attribute::Int(1))])
}

fn parts<const N: usize>(graph: &mut Graph, texts: &Value, how: &[(&str, Attribute)]) -> [Value; N] {
    let [parts, _] = graph.node_n("StringSplit", &[texts], how);
    std::array::from_fn(|part| {
        let part = graph.ints(&[part as i64], &[]);
        graph.node("Gather", &[&parts, &part], &[("axis", Attribute::Int(-1))])
    })
}

/// Digits to a number; no digits are 0.
fn whole_number(graph: &mut Graph, digits: &Value) -> Value {
    let zero = graph.texts(&["0"], &[]);
    let digits = graph.node("StringConcat", &[&zero, digits], &[]);
    graph.cast(&digits, Element::Int64)
}

/// `Jan`, `JAN` or `jan` -> 1.
fn month_of_name(graph: &mut Graph, names: &Value) -> Value {
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    for (number, month) in (1..).zip(months) {
        keys.extend([month.to_owned(), month.to_lowercase(), month.to_uppercase()]);
        values.extend([number; 3]);
    }
    let attributes = [
        ("keys_strings", Attribute::Texts(keys)),
        ("values_int64s", Attribute::Ints(values)),
        ("default_int64", Attribute::Int(0)),
    ];
    graph.ml_node("LabelEncoder", &[names], &attributes)
}

/// As in POSIX: 69 to 99 are of the 20th century.
fn full_year(graph: &mut Graph, year: &Value) -> Value {
    let mut whole = Whole(graph);
    let is_old = whole.with("GreaterOrEqual", year, 69);
    let century = whole.choose(&is_old, 1900, 2000);
    whole.both("Add", year, &century)
}

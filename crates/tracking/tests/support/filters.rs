//! Random filters and orders, the same for the same seed.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tracking::filter::{Attribute, Clause, Condition, DatasetField, Field, Filter, NumberOp, OrderBy, SortKey, TextOp};

/// What random texts are made of: all that the grammar gives a meaning, and letters of one to four bytes.
const PIECES: [&str; 32] = [
    "a", "b", "Z", "0", "7", "_", ".", "-", "/", ":", " ", "%", "'", "''", "\"", "\"\"", "`", "``", "\\", "=", "!=",
    ",", "(", ")", ";", "#", "$", "AND", "NULL", "é", "漢", "🦀",
];

pub struct Generator {
    pub rng: ChaCha8Rng,
    /// Keys to choose from; made up when there are none. The same for the texts and the numbers.
    pub keys: Vec<String>,
    pub texts: Vec<String>,
    pub numbers: Vec<f64>,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self { rng, keys: Vec::new(), texts: Vec::new(), numbers: Vec::new() }
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from.choose(&mut self.rng).cloned().expect("something to choose from")
    }

    pub fn filter(&mut self) -> Filter {
        let clauses = self.rng.random_range(0..4);
        Filter { clauses: (0..clauses).map(|_| self.clause()).collect() }
    }

    /// No field twice: such an order does not parse.
    pub fn order_by(&mut self) -> OrderBy {
        let mut keys: Vec<SortKey> = Vec::new();
        for _ in 0..self.rng.random_range(0..4) {
            let key = SortKey { field: self.sortable(), ascending: self.rng.random() };
            if keys.iter().all(|earlier| earlier.field != key.field) {
                keys.push(key);
            }
        }
        OrderBy { keys }
    }

    /// `pieces` in a row, whatever they are.
    pub fn soup(&mut self, pieces: &[&str], most: usize) -> String {
        (0..self.rng.random_range(0..=most)).map(|_| self.pick(pieces)).collect()
    }

    fn clause(&mut self) -> Clause {
        let field = if self.rng.random_ratio(1, 6) { Field::Dataset(self.dataset_field()) } else { self.sortable() };
        let condition = match &field {
            Field::Metric(_) | Field::Attribute(Attribute::StartTime | Attribute::EndTime) => self.number_condition(),
            Field::Param(_) | Field::Tag(_) => match self.rng.random_range(0..4) {
                0 => Condition::Absent,
                1 => Condition::Present,
                _ => self.text_condition(),
            },
            Field::Dataset(_) | Field::Attribute(Attribute::RunId) => match self.rng.random_range(0..4) {
                0 => Condition::OneOf(self.list()),
                1 => Condition::NoneOf(self.list()),
                _ => self.text_condition(),
            },
            Field::Attribute(_) => self.text_condition(),
        };
        Clause { field, condition }
    }

    fn sortable(&mut self) -> Field {
        match self.rng.random_range(0..4) {
            0 => Field::Metric(self.key()),
            1 => Field::Param(self.key()),
            2 => Field::Tag(self.key()),
            _ => Field::Attribute(self.attribute()),
        }
    }

    fn attribute(&mut self) -> Attribute {
        use Attribute::{ArtifactUri, EndTime, RunId, RunName, StartTime, Status, UserId};
        self.pick(&[RunId, RunName, Status, UserId, ArtifactUri, StartTime, EndTime])
    }

    fn dataset_field(&mut self) -> DatasetField {
        self.pick(&[DatasetField::Name, DatasetField::Digest, DatasetField::Context])
    }

    fn number_condition(&mut self) -> Condition {
        use NumberOp::{Eq, Ge, Gt, Le, Lt, Ne};
        Condition::Number(self.pick(&[Eq, Ne, Gt, Ge, Lt, Le]), self.number())
    }

    fn text_condition(&mut self) -> Condition {
        let op = self.pick(&[TextOp::Eq, TextOp::Ne, TextOp::Like, TextOp::Ilike]);
        let mut text = self.text();
        if matches!(op, TextOp::Like | TextOp::Ilike) && !self.texts.is_empty() {
            text = self.pattern(&text);
        }
        Condition::Text(op, text)
    }

    /// The text with some letters replaced by wildcards.
    fn pattern(&mut self, text: &str) -> String {
        let mut pattern: String = text
            .chars()
            .map(|c| match self.rng.random_range(0..8) {
                0 => '%',
                1 => '_',
                2 => c.to_ascii_uppercase(),
                _ => c,
            })
            .collect();
        if self.rng.random() {
            pattern.push('%');
        }
        pattern
    }

    fn list(&mut self) -> Vec<String> {
        (0..self.rng.random_range(1..4)).map(|_| self.text()).collect()
    }

    fn key(&mut self) -> String {
        if self.keys.is_empty() { self.writable(&["`", "\"", "'"]) } else { self.pick(&self.keys.clone()) }
    }

    fn text(&mut self) -> String {
        if self.texts.is_empty() { self.writable(&["\"", "'"]) } else { self.pick(&self.texts.clone()) }
    }

    /// A random text without one kind of quote: others cannot be written.
    fn writable(&mut self, quotes: &[&str]) -> String {
        let without = self.pick(quotes);
        self.soup(&PIECES, 6).replace(without, "q")
    }

    fn number(&mut self) -> f64 {
        if !self.numbers.is_empty() {
            return self.pick(&self.numbers.clone());
        }
        match self.rng.random_range(0..4) {
            0 => f64::from(self.rng.random::<i32>()),
            1 => self.rng.random(),
            // All magnitudes, and now and then what is no number.
            _ => Some(f64::from_bits(self.rng.random())).filter(|number| !number.is_nan()).unwrap_or(f64::INFINITY),
        }
    }
}

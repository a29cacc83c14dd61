//! Filters and orders: no text makes the parser panic, and what parses is printed so that it reads back.

use tracking::filter::{Filter, OrderBy};

/// Panics when the bytes show a fault. Each line is a clause of an order, all of it a filter.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(filter) = Filter::parse(&text) {
        let printed = filter.to_string();
        let again = Filter::parse(&printed).unwrap_or_else(|error| panic!("{text:?} prints as {printed:?}: {error}"));
        assert_eq!(again, filter, "{text:?} prints as {printed:?}");
    }
    let clauses: Vec<String> = text.lines().map(str::to_owned).collect();
    if let Ok(order) = OrderBy::parse(&clauses) {
        let printed: Vec<String> = order.keys.iter().map(ToString::to_string).collect();
        let again = OrderBy::parse(&printed).unwrap_or_else(|error| panic!("{text:?} prints as {printed:?}: {error}"));
        assert_eq!(again, order, "{text:?} prints as {printed:?}");
    }
}

//! What a mistyped name may have meant.

/// The known names nearest to `name`, best first, at most three: a few typing errors away, or one holding the other
/// (`auc` and `test_auc`).
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let lower = name.to_lowercase();
    let distance = |candidate: &'a str| {
        let other = candidate.to_lowercase();
        let typos = strsim::damerau_levenshtein(&lower, &other);
        let near = typos <= (other.len() / 3).clamp(1, 4);
        let within = lower.len() >= 2 && (other.contains(&lower) || (other.len() >= 2 && lower.contains(&other)));
        (near || within).then_some((!near, typos, candidate))
    };
    let mut found: Vec<_> = known.into_iter().filter_map(distance).collect();
    found.sort_unstable();
    // One typing error outdoes two, and any outdo what only holds the same letters.
    let best = found.first().map(|(far, typos, _)| (*far, *typos));
    let as_good = |(far, typos, _): &(bool, usize, &str)| {
        best.is_some_and(|(best_far, least)| *far == best_far && (*far || *typos == least))
    };
    found.into_iter().filter(as_good).take(3).map(|(.., candidate)| candidate).collect()
}

/// `did you mean A or B?`, or which names there are; empty if there are none.
pub(crate) fn hint(name: &str, known: &[String]) -> String {
    const SHOWN: usize = 12;
    let quoted =
        |names: &[&str], between: &str| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(between);
    let all: Vec<&str> = known.iter().map(String::as_str).collect();
    match nearest(name, all.iter().copied()).as_slice() {
        [] if all.is_empty() => String::new(),
        [] if all.len() > SHOWN => format!("there are {}, ..", quoted(&all[..SHOWN], ", ")),
        [] => format!("there are {}", quoted(&all, ", ")),
        near => format!("did you mean {}?", quoted(near, " or ")),
    }
}

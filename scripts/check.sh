#!/usr/bin/env bash
# What CI runs: format, lints, layering, tests, docs. Stops at the first failure.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

step "format"
cargo fmt --all --check

step "layering: only app depends on other crates of ours"
members=$(cargo metadata --format-version 1 --no-deps --offline 2>/dev/null || cargo metadata --format-version 1 --no-deps)
names=$(printf '%s' "$members" | grep -o '"workspace_members":\[[^]]*' | grep -o 'crates/[a-z_]*' | cut -d/ -f2 | sort)
[ "$(printf '%s\n' "$names" | wc -l)" -ge 6 ] || { echo "error: found only these crates: $names" >&2; exit 1; }
for crate in $names; do
    [ "$crate" = app ] && continue
    inner=$(cargo tree --package "$crate" --edges normal,build,dev --prefix none --format '{p}' |
        awk '{print $1}' | sort -u | grep -Fx -f <(printf '%s\n' "$names") | grep -vx "$crate" || true)
    [ -z "$inner" ] || { echo "error: crate \`$crate\` depends on \`$inner\`; only app may" >&2; exit 1; }
done

step "lints"
cargo clippy --workspace --all-targets -- -D warnings

step "tests"
cargo test --workspace

step "docs"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

step "all good"

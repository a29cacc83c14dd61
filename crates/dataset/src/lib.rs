//! A file or a built-in table becomes typed, split, encoded and scaled arrays.

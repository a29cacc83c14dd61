//! Decimal numbers packed into 4 or 8 bytes, from which their text comes back to the last digit.
//!
//! A million cells of `0.2500` take 4 MB, and a prediction still shows `0.2500` where the file does.

/// Integers up to here are exact in `f64`.
const EXACT: u64 = 1 << 53;
/// Powers of ten that are exact in `f64`.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// `mantissa / 10^decimals`, written with that many digits after the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    /// Below 2^57 without its sign: 17 digits.
    mantissa: i64,
    /// At most 62.
    decimals: u8,
}

impl Decimal {
    /// Numbers of decimals that `to_i32` and `to_i64` never give: free for marks of the caller.
    pub(crate) const FREE_I32: i32 = 15;
    pub(crate) const FREE_I64: i64 = 63;

    /// `None` for a text that `write` would not give back: no number, more than 17 digits, `1e5`, `+1`, `.5`, `007`, `-0`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let digits = digits.as_bytes();
        let (mut mantissa, mut point) = (0u64, None);
        for (place, byte) in digits.iter().enumerate() {
            match byte {
                b'0'..=b'9' => mantissa = mantissa * 10 + u64::from(byte - b'0'),
                b'.' if point.is_none() => point = Some(place),
                _ => return None,
            }
            if mantissa >= 1 << 57 {
                return None;
            }
        }
        let whole = point.unwrap_or(digits.len());
        let decimals = point.map_or(0, |place| digits.len() - place - 1);
        let is_canonical = whole > 0 && (whole == 1 || digits[0] != b'0') && (point.is_none() || decimals > 0);
        if !is_canonical || decimals > 62 || (is_negative && mantissa == 0) {
            return None;
        }
        let mantissa = if is_negative { -(mantissa as i64) } else { mantissa as i64 };
        Some(Self { mantissa, decimals: decimals as u8 })
    }

    /// Packed into 4 bytes: 28 bits of mantissa (8 digits), 4 of decimals.
    pub(crate) fn to_i32(self) -> Option<i32> {
        (self.mantissa.unsigned_abs() < 1 << 27 && self.decimals <= 14)
            .then(|| (self.mantissa as i32) << 4 | i32::from(self.decimals))
    }

    pub(crate) fn from_i32(packed: i32) -> Self {
        Self { mantissa: i64::from(packed >> 4), decimals: (packed & 15) as u8 }
    }

    /// Packed into 8 bytes: 58 bits of mantissa, 6 of decimals.
    pub(crate) fn to_i64(self) -> i64 {
        self.mantissa << 6 | i64::from(self.decimals)
    }

    pub(crate) fn from_i64(packed: i64) -> Self {
        Self { mantissa: packed >> 6, decimals: (packed & 63) as u8 }
    }

    /// Whether it was written without a point.
    pub(crate) fn is_integer(self) -> bool {
        self.decimals == 0
    }

    /// The nearest `f64`, the same as parsing the text gives.
    pub(crate) fn value(self) -> f64 {
        match POWERS.get(usize::from(self.decimals)) {
            // Both are exact, so the quotient is rounded once (Clinger 1990).
            Some(power) if self.mantissa.unsigned_abs() <= EXACT => self.mantissa as f64 / power,
            _ => self.with_text(|text| text.parse().unwrap_or(f64::NAN)),
        }
    }

    /// Gives `use_text` the number as it was written.
    pub(crate) fn with_text<T>(self, use_text: impl FnOnce(&str) -> T) -> T {
        let mut buffer = [b'0'; 72];
        let (mut place, mut rest, mut n_digits) = (buffer.len(), self.mantissa.unsigned_abs(), 0);
        while rest > 0 || n_digits <= self.decimals {
            if n_digits == self.decimals && self.decimals > 0 {
                place -= 1;
                buffer[place] = b'.';
            }
            place -= 1;
            buffer[place] = b'0' + (rest % 10) as u8;
            rest /= 10;
            n_digits += 1;
        }
        if self.mantissa < 0 {
            place -= 1;
            buffer[place] = b'-';
        }
        use_text(std::str::from_utf8(&buffer[place..]).unwrap_or_default())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    fn check(text: &str) {
        let decimal = Decimal::parse(text).unwrap_or_else(|| panic!("{text} is not packed"));
        decimal.with_text(|back| assert_eq!(back, text));
        let expected: f64 = text.parse().unwrap();
        assert_eq!(decimal.value().to_bits(), expected.to_bits(), "{text}");
        assert_eq!(Decimal::from_i64(decimal.to_i64()), decimal, "{text}");
        if let Some(packed) = decimal.to_i32() {
            assert_eq!(Decimal::from_i32(packed), decimal, "{text}");
            assert_ne!(packed & 15, Decimal::FREE_I32);
        }
        assert_ne!(decimal.to_i64() & 63, Decimal::FREE_I64);
    }

    #[test]
    fn text_and_value_come_back() {
        for text in ["0", "1", "-1", "0.0", "0.2500", "-0.05", "10", "134217727", "134217728", "-134217727", "1.50"] {
            check(text);
        }
        for text in ["9007199254740993", "144115188075855871", "-0.13826430117118466", "0.00000000000000001", "100.0"] {
            check(text);
        }
        check(&format!("0.{}1", "0".repeat(61)));
        assert_eq!(Decimal::parse("134217727").unwrap().to_i32().map(|_| ()), Some(()));
        assert_eq!(Decimal::parse("134217728").unwrap().to_i32(), None);
        assert_eq!(Decimal::parse("0.000000000000001").unwrap().to_i32(), None, "15 decimals");
    }

    /// Random doubles in their shortest form and with fixed decimals, as programs write them.
    #[test]
    fn random_numbers_come_back() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut n_checked = 0;
        for _ in 0..20_000 {
            let unit = (rng.next_u64() >> 11) as f64 / EXACT as f64;
            let number = (unit - 0.5) * 10f64.powi((rng.next_u64() % 12) as i32 - 3);
            for text in [number.to_string(), format!("{number:.0}"), format!("{number:.4}"), format!("{number:.8}")] {
                if Decimal::parse(&text).is_some() {
                    check(&text);
                    n_checked += 1;
                }
            }
        }
        assert!(n_checked > 76_000, "{n_checked} of 80000");
    }

    #[test]
    fn other_texts_are_left_alone() {
        let others =
            ["", "-", ".", "1.", ".5", "007", "00", "-0", "-0.0", "+1", "1e5", "1E-5", "inf", "1 ", "1.2.3", "a"];
        for text in others.into_iter().chain(["144115188075855872", "99999999999999999999", "--1", "1-", "01.5"]) {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
        assert_eq!(Decimal::parse(&format!("0.{}1", "0".repeat(62))), None);
    }
}

//! Colours, text sizes and number formats: what makes all pictures look alike.

use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;

use crate::canvas::{Canvas, Point, TextStyle};
use crate::render::text_width;

pub(crate) const INK: RGBColor = RGBColor(31, 35, 40);
pub(crate) const MUTED: RGBColor = RGBColor(92, 99, 107);
pub(crate) const GRID: RGBColor = RGBColor(230, 233, 236);
pub(crate) const BASELINE: RGBColor = RGBColor(150, 157, 165);
pub(crate) const BAND: RGBColor = RGBColor(236, 238, 241);
pub(crate) const FADED: RGBColor = RGBColor(202, 207, 213);

/// Okabe and Ito's colours without black and the yellow that vanishes on white, three of Paul Tol's muted scheme, a grey.
pub(crate) const PALETTE: [RGBColor; 10] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(136, 34, 85),
    RGBColor(153, 153, 51),
    RGBColor(51, 34, 136),
    RGBColor(110, 110, 110),
];

/// ColorBrewer's sequential "Blues".
const BLUES: [RGBColor; 9] = [
    RGBColor(247, 251, 255),
    RGBColor(222, 235, 247),
    RGBColor(198, 219, 239),
    RGBColor(158, 202, 225),
    RGBColor(107, 174, 214),
    RGBColor(66, 146, 198),
    RGBColor(33, 113, 181),
    RGBColor(8, 81, 156),
    RGBColor(8, 48, 107),
];

/// Space to the outer edge, on all sides.
pub(crate) const MARGIN: f64 = 48.0;
pub(crate) const LINE_WIDTH: f64 = 4.0;

pub(crate) const LABEL: TextStyle =
    TextStyle { size: 26.0, bold: false, color: INK, anchor: HPos::Left, upward: false };
pub(crate) const TICK: TextStyle = TextStyle { size: 24.0, color: MUTED, ..LABEL };
const TITLE: TextStyle = TextStyle { size: 40.0, bold: true, ..LABEL };

/// Title and subtitle in the upper left corner; returns where the content may start.
pub(crate) fn draw_heading(canvas: &mut Canvas, title: &str, subtitle: &str) -> f64 {
    let room = f64::from(canvas.width) - 2.0 * MARGIN;
    canvas.text((MARGIN, 76.0), &shorten(title, TITLE, room), TITLE);
    if subtitle.is_empty() {
        return 108.0;
    }
    let style = TextStyle { color: MUTED, ..LABEL };
    canvas.text((MARGIN, 118.0), &shorten(subtitle, style, room), style);
    150.0
}

pub(crate) fn draw_no_data(canvas: &mut Canvas, center: Point) {
    canvas.text(center, "no data", TextStyle { color: BASELINE, anchor: HPos::Center, ..LABEL });
}

/// What a legend entry shows beside its text.
#[derive(Clone, Copy)]
pub(crate) enum Swatch {
    Line(RGBColor),
    Dashed(RGBColor),
    Band,
}

const SWATCH_WIDTH: f64 = 44.0;

/// One legend entry whose text ends before `right`; returns where its text ends.
pub(crate) fn draw_legend_entry(canvas: &mut Canvas, (x, y): Point, swatch: Swatch, text: &str, right: f64) -> f64 {
    let end = x + SWATCH_WIDTH;
    match swatch {
        Swatch::Line(color) => canvas.line(&[(x, y - 9.0), (end, y - 9.0)], LINE_WIDTH + 1.0, color),
        Swatch::Dashed(color) => canvas.dashed((x, y - 9.0), (end, y - 9.0), 3.0, color),
        Swatch::Band => canvas.rect(x, y - 22.0, SWATCH_WIDTH, 26.0, FADED),
    }
    let text = shorten(text, LABEL, right - end - 12.0);
    canvas.text((end + 12.0, y), &text, LABEL);
    end + 12.0 + text_width(&text, LABEL.size, LABEL.bold)
}

/// A legend in rows from the left margin, wrapped at the right one; returns the bottom of the last row.
pub(crate) fn draw_legend_rows(canvas: &mut Canvas, top: f64, entries: &[(Swatch, String)]) -> f64 {
    let right = f64::from(canvas.width) - MARGIN;
    let (mut x, mut y) = (MARGIN, top + 30.0);
    for (swatch, text) in entries {
        let width = SWATCH_WIDTH + 12.0 + text_width(text, LABEL.size, LABEL.bold);
        if x > MARGIN && x + width > right {
            (x, y) = (MARGIN, y + 40.0);
        }
        x = draw_legend_entry(canvas, (x, y), *swatch, text, right) + 36.0;
    }
    y + 10.0
}

/// 0 to 1 -> nearly white to dark blue.
pub(crate) fn blue(share: f64) -> RGBColor {
    let position = share.clamp(0.0, 1.0) * (BLUES.len() - 1) as f64;
    let lower = (position as usize).min(BLUES.len() - 2);
    let (a, b, t) = (BLUES[lower], BLUES[lower + 1], position - lower as f64);
    let mix = |from: u8, to: u8| (f64::from(from) + (f64::from(to) - f64::from(from)) * t).round() as u8;
    RGBColor(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

/// Whether a value can be drawn; beyond 1e100 the width of an axis could overflow.
pub(crate) fn is_drawable(value: f64) -> bool {
    value.is_finite() && value.abs() <= 1e100
}

/// Cuts the end off, with "…", until the text is at most `room` wide.
pub(crate) fn shorten(text: &str, style: TextStyle, room: f64) -> String {
    let mut short = text.to_string();
    let mut kept: Vec<char> = text.chars().take(400).collect();
    while text_width(&short, style.size, style.bold) > room && !kept.is_empty() {
        kept.pop();
        short = format!("{}…", kept.iter().collect::<String>().trim_end());
    }
    short
}

/// `-1234.5` with one decimal -> `−1,234.5`.
pub(crate) fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(w, f)| (w, Some(f)));
    let mut out = String::new();
    if value < 0.0 && text.bytes().any(|b| matches!(b, b'1'..=b'9')) {
        out.push('\u{2212}');
    }
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// Four significant digits, without trailing zeros: `0.8731`, `12,340`, `3.2e-7`.
pub(crate) fn significant(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 || !value.is_finite() {
        return if magnitude == 0.0 { "0".to_string() } else { "n/a".to_string() };
    }
    if !(1e-4..1e7).contains(&magnitude) {
        return scientific(value, 2);
    }
    let text = grouped(value, (3.0 - magnitude.log10().floor()).clamp(0.0, 7.0) as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}

pub(crate) fn scientific(value: f64, decimals: usize) -> String {
    format!("{value:.decimals$e}").replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(grouped(1_234_567.0, 0), "1,234,567");
        assert_eq!(grouped(-1234.56, 1), "−1,234.6");
        assert_eq!(grouped(-0.001, 1), "0.0");
        assert_eq!(significant(0.873_149), "0.8731");
        assert_eq!(significant(0.1 + 0.2), "0.3");
        assert_eq!(significant(12_345.6), "12,346");
        assert_eq!(significant(3.2e-7), "3.20e−7");
        assert_eq!(significant(0.0), "0");
        assert_eq!(significant(f64::NAN), "n/a");
    }

    #[test]
    fn shortened_text_fits() {
        let short = shorten(&"Prof-specialty and more ".repeat(9), LABEL, 200.0);
        assert!(short.ends_with('…') && text_width(&short, LABEL.size, false) <= 200.0, "{short}");
        assert_eq!(shorten("setosa", LABEL, 200.0), "setosa");
        assert_eq!(shorten("setosa", LABEL, -1.0), "…");
    }

    #[test]
    fn blues_go_from_light_to_dark() {
        assert_eq!((blue(-1.0), blue(2.0)), (BLUES[0], BLUES[8]));
        assert_eq!(blue(0.125), BLUES[1]);
    }
}

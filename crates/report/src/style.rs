//! Colours, text sizes and number formats: what makes all pictures look alike.

use plotters::style::text_anchor::HPos;
use plotters::style::{RGBColor, WHITE};

use crate::canvas::{Canvas, Heading, Point, TextStyle, writable};
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

/// ColorBrewer's sequential "YlGnBu".
const YELLOW_TO_BLUE: [RGBColor; 9] = [
    RGBColor(255, 255, 217),
    RGBColor(237, 248, 177),
    RGBColor(199, 233, 180),
    RGBColor(127, 205, 187),
    RGBColor(65, 182, 196),
    RGBColor(29, 145, 192),
    RGBColor(34, 94, 168),
    RGBColor(37, 52, 148),
    RGBColor(8, 29, 88),
];

/// What the colours become on a dark page; all others turn their lightness round.
const DARK: [(RGBColor, RGBColor); 17] = [
    (WHITE, RGBColor(27, 31, 36)),
    (INK, RGBColor(230, 234, 238)),
    (MUTED, RGBColor(158, 169, 180)),
    (GRID, RGBColor(46, 53, 60)),
    (BASELINE, RGBColor(112, 123, 134)),
    (BAND, RGBColor(38, 44, 51)),
    (FADED, RGBColor(70, 79, 88)),
    (PALETTE[0], RGBColor(76, 166, 232)),
    (PALETTE[1], RGBColor(240, 134, 58)),
    (PALETTE[2], RGBColor(46, 196, 148)),
    (PALETTE[3], RGBColor(222, 148, 190)),
    (PALETTE[4], RGBColor(240, 184, 64)),
    (PALETTE[5], RGBColor(152, 214, 250)),
    (PALETTE[6], RGBColor(218, 108, 148)),
    (PALETTE[7], RGBColor(188, 188, 84)),
    (PALETTE[8], RGBColor(150, 134, 236)),
    (PALETTE[9], RGBColor(164, 164, 164)),
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
    let style = TextStyle { color: MUTED, ..LABEL };
    if !subtitle.is_empty() {
        canvas.text((MARGIN, 118.0), &shorten(subtitle, style, room), style);
    }
    let bottom = if subtitle.is_empty() { 108.0 } else { 150.0 };
    let heading = |text| writable(text).trim().to_string();
    canvas.heading = Some(Heading { title: heading(title), subtitle: heading(subtitle), bottom: bottom as u32 - 14 });
    bottom
}

/// A line of text under everything else, for which the canvas grows.
pub(crate) fn draw_footer(canvas: &mut Canvas, text: &str) {
    canvas.text((MARGIN, f64::from(canvas.height) + 18.0), text, TICK);
    canvas.height += 48;
}

pub(crate) fn draw_no_data(canvas: &mut Canvas, center: Point) {
    canvas.text(center, "no data", TextStyle { color: BASELINE, anchor: HPos::Center, ..LABEL });
}

/// What a legend entry shows beside its text.
#[derive(Clone, Copy)]
pub(crate) enum Swatch {
    Line(RGBColor),
    Dashed(RGBColor),
    Dot(RGBColor),
    Ring(RGBColor),
    Cross(RGBColor),
    Diamond(RGBColor),
    /// Its tip shows upward, or downward.
    Triangle(RGBColor, bool),
    Whisker(RGBColor),
    /// A colour and its opacity.
    Area(RGBColor, f64),
    Blank,
}

const SWATCH_WIDTH: f64 = 44.0;

/// One legend entry whose text ends before `right`; returns where its text ends.
pub(crate) fn draw_legend_entry(canvas: &mut Canvas, (x, y): Point, swatch: Swatch, text: &str, right: f64) -> f64 {
    let end = x + SWATCH_WIDTH;
    match swatch {
        Swatch::Line(color) => canvas.line(&[(x, y - 9.0), (end, y - 9.0)], LINE_WIDTH + 1.0, color),
        Swatch::Dashed(color) => canvas.dashed((x, y - 9.0), (end, y - 9.0), 3.0, color),
        Swatch::Blank => {}
        Swatch::Whisker(color) => canvas.whisker((x + 4.0, y - 9.0), (end - 4.0, y - 9.0), color),
        Swatch::Dot(color) => canvas.dot((x + SWATCH_WIDTH / 2.0, y - 9.0), 9.0, color, 1.0),
        Swatch::Ring(color) => canvas.ring((x + SWATCH_WIDTH / 2.0, y - 9.0), 9.0, color),
        Swatch::Cross(color) => canvas.cross((x + SWATCH_WIDTH / 2.0, y - 9.0), 8.0, color),
        Swatch::Diamond(color) => canvas.diamond((x + SWATCH_WIDTH / 2.0, y - 9.0), 14.0, color),
        Swatch::Triangle(color, is_up) => canvas.triangle((x + SWATCH_WIDTH / 2.0, y - 9.0), 10.0, color, is_up),
        Swatch::Area(color, opacity) => canvas.shade((x, y - 22.0), (SWATCH_WIDTH, 26.0), color, opacity),
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

/// One entry under the other, from `at` to the right end of the canvas.
pub(crate) fn draw_legend_column(canvas: &mut Canvas, at: Point, entries: &[(Swatch, String)]) {
    let right = f64::from(canvas.width) - MARGIN;
    for (i, (swatch, text)) in entries.iter().enumerate() {
        draw_legend_entry(canvas, (at.0, at.1 + 46.0 * i as f64), *swatch, text, right);
    }
}

/// `name (numbers)`; where that is wider than `room` with its swatch, the name is shortened, so the numbers stay.
pub(crate) fn legend_text(name: &str, numbers: &str, room: f64) -> String {
    let numbers = format!(" ({numbers})");
    let room = room - SWATCH_WIDTH - 12.0 - text_width(&numbers, LABEL.size, LABEL.bold);
    shorten(name, LABEL, room.max(60.0)) + &numbers
}

/// Indices of the entries to name, those with the lowest keys (in the given order), and of those to leave grey.
/// NaN counts as the highest key.
pub(crate) fn split_lowest(keys: &[f64]) -> (Vec<usize>, Vec<usize>) {
    let mut by_key: Vec<usize> = (0..keys.len()).collect();
    by_key.sort_by(|&a, &b| keys[a].is_nan().cmp(&keys[b].is_nan()).then(keys[a].total_cmp(&keys[b])));
    let mut others = by_key.split_off(keys.len().min(PALETTE.len()));
    by_key.sort_unstable();
    others.sort_unstable();
    (by_key, others)
}

/// 0 to 1 -> nearly white to dark blue.
pub(crate) fn blue(share: f64) -> RGBColor {
    ramp(&BLUES, share)
}

/// 0 to 1 -> pale yellow over green to dark blue.
pub(crate) fn yellow_to_blue(share: f64) -> RGBColor {
    ramp(&YELLOW_TO_BLUE, share)
}

fn ramp(colors: &[RGBColor; 9], share: f64) -> RGBColor {
    let position = share.clamp(0.0, 1.0) * (colors.len() - 1) as f64;
    let lower = (position as usize).min(colors.len() - 2);
    let (a, b, t) = (colors[lower], colors[lower + 1], position - lower as f64);
    let mix = |from: u8, to: u8| (f64::from(from) + (f64::from(to) - f64::from(from)) * t).round() as u8;
    RGBColor(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

/// The colour that stands for `color` on a dark page: from the table above, or with the lightness turned round in Oklab
/// (Ottosson, 2020), so that what is near white comes near the dark ground, and hue and most of the chroma stay.
pub(crate) fn dark(color: RGBColor) -> RGBColor {
    if let Some((_, dark)) = DARK.iter().find(|(light, _)| *light == color) {
        return *dark;
    }
    let [l, a, b] = to_oklab(color);
    from_oklab([1.21 - l, a, b])
}

fn to_oklab(RGBColor(r, g, b): RGBColor) -> [f64; 3] {
    let linear = |channel: u8| {
        let c = f64::from(channel) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    let [r, g, b] = [r, g, b].map(linear);
    let l = (0.412_221_470_8 * r + 0.536_332_536_3 * g + 0.051_445_992_9 * b).cbrt();
    let m = (0.211_903_498_2 * r + 0.680_699_545_1 * g + 0.107_396_956_6 * b).cbrt();
    let s = (0.088_302_461_9 * r + 0.281_718_837_6 * g + 0.629_978_700_5 * b).cbrt();
    [
        0.210_454_255_3 * l + 0.793_617_785_0 * m - 0.004_072_046_8 * s,
        1.977_998_495_1 * l - 2.428_592_205_0 * m + 0.450_593_709_9 * s,
        0.025_904_037_1 * l + 0.782_771_766_2 * m - 0.808_675_766_0 * s,
    ]
}

/// The nearest colour that a screen can show.
fn from_oklab([lightness, a, b]: [f64; 3]) -> RGBColor {
    let l = (lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
    let m = (lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
    let s = (lightness - 0.089_484_177_5 * a - 1.291_485_548_0 * b).powi(3);
    let channel = |linear: f64| {
        let c = linear.clamp(0.0, 1.0);
        let c = if c <= 0.003_130_8 { c * 12.92 } else { 1.055 * c.powf(1.0 / 2.4) - 0.055 };
        (c * 255.0).round() as u8
    };
    RGBColor(
        channel(4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s),
        channel(-1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s),
        channel(-0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701_0 * s),
    )
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

/// Takes letters out of the middle, for names that begin or end alike (`native-country=…`).
pub(crate) fn shorten_middle(text: &str, style: TextStyle, room: f64) -> String {
    if text_width(text, style.size, style.bold) <= room {
        return text.to_string();
    }
    let letters: Vec<char> = text.chars().collect();
    let around = |kept: usize| {
        let (head, tail) = (&letters[..kept.div_ceil(2)], &letters[letters.len() - kept / 2..]);
        let (head, tail): (String, String) = (head.iter().collect(), tail.iter().collect());
        format!("{}…{}", head.trim_end(), tail.trim_start())
    };
    let most = letters.len().saturating_sub(1).min(400);
    let fits = |text: &String| text_width(text, style.size, style.bold) <= room;
    (0..=most).rev().map(around).find(fits).unwrap_or_else(|| "…".to_string())
}

/// Writes the numbers of one column with equal decimals: four or more below 1, else four significant digits of the
/// largest. Beside a far larger one a number keeps its own digits.
pub(crate) fn column_number(value: f64, largest: f64) -> String {
    // A value may be larger than all that could be drawn.
    let size = largest.abs().max(value.abs());
    if !(1e-3..1e7).contains(&size) || value == 0.0 || !value.is_finite() {
        return significant(value);
    }
    let magnitude = size.log10().floor();
    let decimals = if size < 1.0 { (2.0 - magnitude).max(4.0) } else { 3.0 - magnitude }.max(0.0);
    if size >= 1.0 && value.abs() < 10f64.powf(1.0 - decimals) {
        return significant(value);
    }
    grouped(value, decimals as usize)
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
        let middle = shorten_middle("native-country=Outlying-US(Guam-USVI-etc)", LABEL, 300.0);
        assert!(middle.starts_with("native-") && middle.contains('…') && middle.ends_with("etc)"), "{middle}");
        assert!(text_width(&middle, LABEL.size, false) <= 300.0);
        assert_eq!(shorten_middle("setosa", LABEL, -1.0), "…");
        let legend = legend_text(&"long ".repeat(30), "AUC 0.911 [0.905, 0.916]", 600.0);
        assert!(legend.ends_with("… (AUC 0.911 [0.905, 0.916])"), "{legend}");
        assert!(text_width(&legend, LABEL.size, false) + SWATCH_WIDTH + 12.0 <= 600.0);
    }

    #[test]
    fn the_lowest_ten_are_named() {
        let keys: Vec<f64> = (0..12).map(|i| if i == 3 { f64::NAN } else { f64::from(-i) }).collect();
        assert_eq!(split_lowest(&keys), (vec![1, 2, 4, 5, 6, 7, 8, 9, 10, 11], vec![0, 3]));
        assert_eq!(split_lowest(&[]), (vec![], vec![]));
    }

    #[test]
    fn columns_have_equal_decimals() {
        let column = |values: [f64; 3]| values.map(|v| column_number(v, values[0]));
        assert_eq!(column([0.2, 0.0312, -0.00004]), ["0.2000", "0.0312", "0.0000"]);
        assert_eq!(column([0.0061, 0.0002, 0.0]), ["0.00610", "0.00020", "0"]);
        assert_eq!(column([12.345, 9.8, -0.5]), ["12.35", "9.80", "−0.50"]);
        assert_eq!(column([1_250_000.0, 12.0, 0.4712]), ["1,250,000", "12", "0.4712"]);
        assert_eq!(column([1e-9, f64::NAN, -2e-10]), ["1.00e−9", "n/a", "−2.00e−10"]);
        assert_eq!(column_number(1e308, 1.0), "1.00e308");
    }

    #[test]
    fn colours_turn_round_for_a_dark_page() {
        assert_eq!(dark(INK), RGBColor(230, 234, 238));
        for color in BLUES.into_iter().chain(PALETTE) {
            assert_eq!(from_oklab(to_oklab(color)), color);
        }
        let lightness = |share: f64| to_oklab(dark(blue(share)))[0];
        assert!(lightness(0.0) < 0.3 && lightness(0.5) > lightness(0.2) && lightness(1.0) > 0.8);
        // Björn Ottosson's own example: sRGB red is L 0.628, a 0.225, b 0.126.
        let [l, a, b] = to_oklab(RGBColor(255, 0, 0));
        assert!((l - 0.628).abs() < 1e-3 && (a - 0.225).abs() < 1e-3 && (b - 0.126).abs() < 1e-3, "{l} {a} {b}");
    }

    #[test]
    fn blues_go_from_light_to_dark() {
        assert_eq!((blue(-1.0), blue(2.0)), (BLUES[0], BLUES[8]));
        assert_eq!(blue(0.125), BLUES[1]);
    }
}

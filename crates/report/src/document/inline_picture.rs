//! A picture as a piece of HTML.
//!
//! An SVG of this crate goes in as elements, so that CSS sets its colours: each colour becomes a class, and the page has
//! the class's light and dark colour once for all pictures. Its heading is cut off, since the page sets it as text. Only
//! elements and attributes that `render` writes are let through; any other SVG, and a PNG, goes in as an image on white.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::{fs, io};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use plotters::style::RGBColor;

use crate::render::{HEADING_ATTRIBUTE, with_suffix};
use crate::style::dark;
use crate::{Error, Result};

/// What goes into the page.
pub(super) struct InlinePicture {
    /// One element, `svg` or `img`, in two pieces: its text alternative, escaped, goes between them.
    pub element: [String; 2],
    /// In pixels of the finished picture.
    pub width: u32,
    /// The picture's own heading, escaped; empty for an image.
    pub title: String,
    pub subtitle: String,
}

/// The colours of all pictures of a page.
#[derive(Default)]
pub(super) struct Colors(BTreeMap<[u8; 3], usize>);

impl Colors {
    fn class(&mut self, hex: &str) -> Option<usize> {
        let digits = hex.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
        let channel = |i: usize| u8::from_str_radix(&digits[i..i + 2], 16).ok();
        let next = self.0.len();
        Some(*self.0.entry([channel(0)?, channel(2)?, channel(4)?]).or_insert(next))
    }

    /// `--c0:#1f2328;--c1:..`, for light or dark.
    pub fn variables(&self, is_dark: bool) -> String {
        let mut text = String::new();
        for (&[r, g, b], class) in &self.0 {
            let RGBColor(r, g, b) = if is_dark { dark(RGBColor(r, g, b)) } else { RGBColor(r, g, b) };
            let _ = write!(text, "--c{class}:#{r:02x}{g:02x}{b:02x};");
        }
        text
    }

    /// `.f0{fill:var(--c0)}.s0{stroke:var(--c0)}..`
    pub fn rules(&self) -> String {
        let rule = |i: usize| format!(".f{i}{{fill:var(--c{i})}}.s{i}{{stroke:var(--c{i})}}");
        (0..self.0.len()).map(rule).collect()
    }
}

/// `STEM.svg`, or `STEM.png` where there is none.
pub(super) fn load(stem: &Path, colors: &mut Colors) -> Result<InlinePicture> {
    let svg_path = with_suffix(stem, ".svg");
    let error = |path: &Path| {
        let path = path.to_path_buf();
        move |source| Error::Read { path, source }
    };
    match fs::read_to_string(&svg_path) {
        Ok(svg) => Ok(inlined(&svg, colors).unwrap_or_else(|| image("svg+xml", svg.as_bytes(), UNKNOWN_WIDTH))),
        Err(reason) if reason.kind() == io::ErrorKind::NotFound => {
            let png_path = with_suffix(stem, ".png");
            match fs::read(&png_path) {
                Ok(bytes) => Ok(image("png", &bytes, png_width(&bytes))),
                Err(source) if source.kind() == io::ErrorKind::NotFound => Err(error(&svg_path)(reason)),
                Err(source) => Err(error(&png_path)(source)),
            }
        }
        Err(source) => Err(error(&svg_path)(source)),
    }
}

/// Of the empty margin at the left of our pictures, in pixels: the page has one of its own.
const LEFT_CUT: u32 = 30;
/// For an SVG that is not ours.
const UNKNOWN_WIDTH: u32 = 1200;

fn png_width(bytes: &[u8]) -> u32 {
    png::Decoder::new(io::Cursor::new(bytes)).read_info().map_or(UNKNOWN_WIDTH, |reader| reader.info().width)
}

fn image(kind: &str, bytes: &[u8], width: u32) -> InlinePicture {
    let data = BASE64_STANDARD.encode(bytes);
    InlinePicture {
        element: [format!("<img src=\"data:image/{kind};base64,{data}\" alt=\""), "\">".to_string()],
        width,
        title: String::new(),
        subtitle: String::new(),
    }
}

/// `None` if the SVG holds anything that ours do not.
fn inlined(svg: &str, colors: &mut Colors) -> Option<InlinePicture> {
    let (head, body) = svg.trim().strip_prefix("<svg ")?.split_once('>')?;
    let attributes = attributes(head)?;
    let number = |name| attributes.iter().find(|(key, _)| *key == name).and_then(|(_, v)| v.parse::<u32>().ok());
    let (width, height, cut) = (number("width")?, number("height")?, number(HEADING_ATTRIBUTE)?);
    let (_, _, fine_width, _) = view_box(&attributes)?;
    let scale = fine_width.checked_div(width).filter(|scale| *scale > 0)?;
    let mut body = body.strip_suffix("</svg>")?;
    let [title, subtitle] = ["title", "desc"].map(|name| take_element(&mut body, name));
    if [&title, &subtitle].iter().any(|text| text.contains(['<', '>', '"'])) {
        return None;
    }
    let (top, left) = (cut.checked_mul(scale)?, LEFT_CUT * scale);
    let size = [fine_width.checked_sub(left)?, height.checked_sub(cut)?.checked_mul(scale)?];
    let elements = elements(body, top, colors)?;
    Some(InlinePicture {
        element: [
            format!("<svg viewBox=\"{left} {top} {} {}\" role=\"img\" aria-label=\"", size[0], size[1]),
            format!("\">{elements}</svg>"),
        ],
        width: width.saturating_sub(LEFT_CUT),
        title,
        subtitle,
    })
}

fn view_box(attributes: &[(&str, &str)]) -> Option<(u32, u32, u32, u32)> {
    let (_, value) = attributes.iter().find(|(key, _)| *key == "viewBox")?;
    let numbers: Vec<u32> = value.split(' ').map(str::parse).collect::<std::result::Result<_, _>>().ok()?;
    let [x, y, width, height] = numbers[..] else { return None };
    Some((x, y, width, height))
}

/// Takes `<name>text</name>` from the start of `body`; the text is as escaped as it was.
fn take_element(body: &mut &str, name: &str) -> String {
    let inside = body.trim_start().strip_prefix(&format!("<{name}>")).and_then(|b| b.split_once(&format!("</{name}>")));
    let Some((text, rest)) = inside else { return String::new() };
    *body = rest;
    text.to_string()
}

/// All elements below `top`, made short; those above are the heading.
fn elements(body: &str, top: u32, colors: &mut Colors) -> Option<String> {
    let mut out = String::with_capacity(body.len());
    let mut rest = body.trim_start();
    let mut is_first = true;
    while !rest.is_empty() {
        let (tag, after) = rest.strip_prefix('<')?.split_once('>')?;
        let (name, list) = tag.strip_suffix('/').unwrap_or(tag).split_once(' ')?;
        let element = short_element(name, &attributes(list)?, colors)?;
        if name == "text" {
            let (content, after) = after.split_once("</text>")?;
            let y = attributes(list)?.iter().find(|(key, _)| *key == "y")?.1.parse::<i64>().ok()?;
            if content.contains('<') {
                return None;
            }
            if y >= i64::from(top) {
                let _ = write!(out, "{element}>{}</text>", content.trim());
            }
            rest = after.trim_start();
        } else {
            // The first shape is the ground, which the page has itself.
            if !is_first {
                let _ = write!(out, "{element}/>");
            }
            is_first = false;
            rest = after.trim_start();
        }
    }
    Some(out)
}

/// `a="1" b="2"` as pairs; `None` for any other form.
fn attributes(list: &str) -> Option<Vec<(&str, &str)>> {
    let mut pairs = Vec::new();
    let mut rest = list.trim();
    while !rest.is_empty() {
        let (key, after) = rest.split_once("=\"")?;
        let (value, after) = after.split_once('"')?;
        pairs.push((key, value));
        rest = after.trim_start();
    }
    Some(pairs)
}

/// The start of a tag. What is the same for all pictures is in the page's CSS, what SVG presumes is left out.
fn short_element(name: &str, attributes: &[(&str, &str)], colors: &mut Colors) -> Option<String> {
    if !matches!(name, "rect" | "polyline" | "polygon" | "circle" | "text") {
        return None;
    }
    let mut classes = Vec::new();
    let mut element = format!("<{name}");
    for &(key, value) in attributes {
        match (key, value) {
            ("shape-rendering" | "font-family", _) | ("opacity", "1") | ("fill" | "stroke", "none") => {}
            ("text-anchor", "start") => {}
            ("fill", color) => classes.push(format!("f{}", colors.class(color)?)),
            ("stroke", color) => classes.push(format!("s{}", colors.class(color)?)),
            ("font-weight", "bold") => classes.push("b".to_string()),
            ("stroke-width", _) if attributes.contains(&("stroke", "none")) => {}
            ("font-size", size) => {
                let _ = write!(element, " font-size=\"{}\"", (size.parse::<f64>().ok()? * 10.0).round() / 10.0);
            }
            ("opacity" | "stroke-width" | "text-anchor" | "transform" | "points", value)
            | ("x" | "y" | "dy" | "width" | "height" | "cx" | "cy" | "r", value)
                if value.bytes().all(|b| b.is_ascii_alphanumeric() || b".,-+ ()".contains(&b)) =>
            {
                let _ = write!(element, " {key}=\"{}\"", value.trim());
            }
            _ => return None,
        }
    }
    if !classes.is_empty() {
        let _ = write!(element, " class=\"{}\"", classes.join(" "));
    }
    Some(element)
}

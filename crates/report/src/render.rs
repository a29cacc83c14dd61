//! Shapes to bytes to files.
//!
//! Both backends of plotters take whole pixels, so both draw on a grid `SUBPIXELS` times finer than the picture: the
//! SVG shows it through its `viewBox`, the bitmap is averaged down, which smooths all edges. Letters are set here with
//! ab_glyph: plotters' own text drops each glyph's left side bearing, and the words look uneven.

use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, ScaleFont, point};
use plotters::prelude::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{Pos, VPos};
use plotters::style::{Color, FontFamily, FontStyle, FontTransform, RGBAColor, ShapeStyle, WHITE};
use plotters_backend::{BackendColor, BackendCoord, BackendTextStyle, DrawingErrorKind};

use crate::canvas::{Canvas, Heading, Point, Shape, TextStyle, writable};
use crate::{Error, Result};

const SUBPIXELS: u32 = 3;
/// The height of the heading in pixels, on the root of the SVG.
pub(crate) const HEADING_ATTRIBUTE: &str = "data-heading";
/// plotters' SVG backend puts the baseline of top-anchored text this far below the given point, in em.
const BASELINE_EM: f64 = 0.76;
/// plotters' SVG backend divides the font size by this.
const SVG_FONT_RATIO: f64 = 1.24;

static REGULAR: LazyLock<Option<FontRef>> =
    LazyLock::new(|| FontRef::try_from_slice(include_bytes!("../fonts/Inter-Regular.otf")).ok());
static BOLD: LazyLock<Option<FontRef>> =
    LazyLock::new(|| FontRef::try_from_slice(include_bytes!("../fonts/Inter-Bold.otf")).ok());

/// Writes `STEM.png` and `STEM.svg`: drawn in memory, written to `STEM.png.tmp` and `STEM.svg.tmp`, then renamed.
pub(crate) fn save(canvas: &Canvas, stem: &Path) -> Result<()> {
    let (png_path, svg_path) = (with_suffix(stem, ".png"), with_suffix(stem, ".svg"));
    let png = png_bytes(canvas).map_err(|reason| Error::Draw { path: png_path.clone(), reason })?;
    let svg = svg_text(canvas).map_err(|reason| Error::Draw { path: svg_path.clone(), reason })?;
    write_both([(&png_path, &png), (&svg_path, svg.as_bytes())])
}

/// Both files are complete under their temporary names before either takes its own.
fn write_both(files: [(&PathBuf, &[u8]); 2]) -> Result<()> {
    let result = try_write_both(&files);
    if result.is_err() {
        for (path, _) in files {
            // The first error is the one to report; a left-over temporary file does no harm.
            let _ = fs::remove_file(with_suffix(path, ".tmp"));
        }
    }
    result
}

fn try_write_both(files: &[(&PathBuf, &[u8])]) -> Result<()> {
    let error = |path: &Path| {
        let path = path.to_path_buf();
        move |source| Error::Write { path, source }
    };
    for (path, bytes) in files {
        fs::write(with_suffix(path, ".tmp"), bytes).map_err(error(path))?;
    }
    for (path, _) in files {
        fs::rename(with_suffix(path, ".tmp"), path).map_err(error(path))?;
    }
    Ok(())
}

/// Unlike `Path::with_extension`, keeps what follows a dot in the stem (`roc.fold-1`).
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn png_bytes(canvas: &Canvas) -> std::result::Result<Vec<u8>, String> {
    let (fine_width, fine_height) = (canvas.width * SUBPIXELS, canvas.height * SUBPIXELS);
    let mut fine = vec![255; fine_width as usize * fine_height as usize * 3];
    {
        let mut backend = BitMapBackend::with_buffer(&mut fine, (fine_width, fine_height));
        draw_shapes(canvas, &mut backend, draw_bitmap_line, draw_bitmap_band).map_err(|e| e.to_string())?;
    }
    let pixels = average_down(&fine, canvas.width as usize, canvas.height as usize);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, canvas.width, canvas.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().and_then(|mut w| w.write_image_data(&pixels)).map_err(|e| e.to_string())?;
    Ok(bytes)
}

/// [height * SUBPIXELS, width * SUBPIXELS, 3] -> [height, width, 3], the mean of each block.
fn average_down(fine: &[u8], width: usize, height: usize) -> Vec<u8> {
    let n = SUBPIXELS as usize;
    let mut pixels = Vec::with_capacity(width * height * 3);
    let mut sums = vec![0u16; width * 3];
    for rows in fine.chunks_exact(width * n * 3 * n) {
        sums.fill(0);
        for row in rows.chunks_exact(width * n * 3) {
            // Most of the time of a picture goes here; fixed lengths make it fast without the optimiser's help.
            const { assert!(SUBPIXELS == 3) };
            for ([red, green, blue], rgb) in sums.as_chunks_mut::<3>().0.iter_mut().zip(row.as_chunks::<9>().0) {
                let sum = |i: usize| u16::from(rgb[i]) + u16::from(rgb[i + 3]) + u16::from(rgb[i + 6]);
                (*red, *green, *blue) = (*red + sum(0), *green + sum(1), *blue + sum(2));
            }
        }
        let count = (n * n) as u16;
        pixels.extend(sums.iter().map(|&s| ((s + count / 2) / count) as u8));
    }
    pixels
}

fn svg_text(canvas: &Canvas) -> std::result::Result<String, String> {
    let (width, height) = (canvas.width, canvas.height);
    let (fine_width, fine_height) = (width * SUBPIXELS, height * SUBPIXELS);
    let mut svg = String::new();
    {
        let mut backend = SVGBackend::with_string(&mut svg, (fine_width, fine_height));
        draw_shapes(canvas, &mut backend, |b, points, style| b.draw_path(points.iter().copied(), style), draw_svg_band)
            .and_then(|()| backend.present())
            .map_err(|e| e.to_string())?;
    }
    // plotters' SVG has no notion of joins, of sharp-edged cells, nor of a size that differs from the view box.
    let body = svg.split_once('\n').map_or("", |(_, body)| body);
    let body = body.replace("<rect ", "<rect shape-rendering=\"crispEdges\" ");
    let (cut, names) = canvas.heading.as_ref().map_or((0, String::new()), |heading| (heading.bottom, names(heading)));
    Ok(format!(
        "<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {fine_width} {fine_height}\" {HEADING_ATTRIBUTE}=\"{cut}\" \
         stroke-linejoin=\"round\" stroke-linecap=\"round\" xmlns=\"http://www.w3.org/2000/svg\">\n{names}{body}"
    ))
}

/// What a screen reader says, and a page shows as the picture's heading: not shortened.
fn names(heading: &Heading) -> String {
    format!("<title>{}</title>\n<desc>{}</desc>\n", escaped(&heading.title), escaped(&heading.subtitle))
}

/// For the text and the attributes of XML and HTML.
pub(crate) fn escaped(text: &str) -> String {
    let escape = |c: char| match c {
        '&' => "&amp;".to_string(),
        '<' => "&lt;".to_string(),
        '>' => "&gt;".to_string(),
        '"' => "&quot;".to_string(),
        '\'' => "&#39;".to_string(),
        c => c.to_string(),
    };
    writable(text).chars().map(escape).collect()
}

type Drawn<B> = std::result::Result<(), DrawingErrorKind<<B as DrawingBackend>::ErrorType>>;

fn draw_shapes<B: DrawingBackend>(
    canvas: &Canvas,
    backend: &mut B,
    draw_line: impl Fn(&mut B, &[BackendCoord], &ShapeStyle) -> Drawn<B>,
    draw_band: impl Fn(&mut B, &[[f64; 3]], &RGBAColor) -> Drawn<B>,
) -> Drawn<B> {
    let (width, height) = backend.get_size();
    backend.draw_rect((0, 0), (width as i32, height as i32), &WHITE, true)?;
    for shape in &canvas.shapes {
        match shape {
            Shape::Line { points, width, color } => {
                let mut points: Vec<BackendCoord> = points.iter().map(|&p| fine(p)).collect();
                points.dedup();
                draw_line(backend, &points, &color.stroke_width(fine_length(*width)))?;
            }
            Shape::Rect { left, top, width, height, color, opacity } => {
                let corner = fine((left + width, top + height));
                backend.draw_rect(fine((*left, *top)), corner, &color.mix(*opacity), true)?;
            }
            Shape::Band { slices, color, opacity } => draw_band(backend, slices, &color.mix(*opacity))?,
            Shape::Dot { center, radius, color, opacity } => {
                backend.draw_circle(fine(*center), fine_length(*radius), &color.mix(*opacity), true)?;
            }
            Shape::Text { at: (x, y), content, style } => {
                let drop = BASELINE_EM * style.size;
                let corner = if style.upward { (x - drop, *y) } else { (*x, y - drop) };
                backend.draw_text(content, &FineText(*style), fine(corner))?;
            }
        }
    }
    Ok(())
}

fn fine((x, y): Point) -> BackendCoord {
    ((x * f64::from(SUBPIXELS)).round() as i32, (y * f64::from(SUBPIXELS)).round() as i32)
}

fn fine_length(length: f64) -> u32 {
    (length * f64::from(SUBPIXELS)).round() as u32
}

/// plotters would turn a thick path into one polygon with spikes at sharp turns; this gives round joins.
fn draw_bitmap_line<B: DrawingBackend>(backend: &mut B, points: &[BackendCoord], style: &ShapeStyle) -> Drawn<B> {
    for pair in points.windows(2) {
        backend.draw_line(pair[0], pair[1], style)?;
    }
    if style.stroke_width > 3 {
        for &point in points {
            backend.draw_circle(point, style.stroke_width / 2, &style.color, true)?;
        }
    }
    Ok(())
}

fn draw_svg_band<B: DrawingBackend>(backend: &mut B, slices: &[[f64; 3]], color: &RGBAColor) -> Drawn<B> {
    let top = slices.iter().map(|&[x, top, _]| fine((x, top)));
    let bottom = slices.iter().rev().map(|&[x, _, bottom]| fine((x, bottom)));
    backend.fill_polygon(top.chain(bottom), color)
}

/// plotters' polygons cover some pixels twice, which shows where they are transparent; this fills column by column.
fn draw_bitmap_band<B: DrawingBackend>(backend: &mut B, slices: &[[f64; 3]], color: &RGBAColor) -> Drawn<B> {
    for pair in slices.windows(2) {
        let [from, to] = [pair[0], pair[1]];
        let (first, end) = (fine((from[0], 0.0)).0, fine((to[0], 0.0)).0);
        for x in first..end {
            let t = f64::from(x - first) / f64::from(end - first);
            let (_, top) = fine((0.0, from[1] + (to[1] - from[1]) * t));
            let (_, bottom) = fine((0.0, from[2] + (to[2] - from[2]) * t));
            backend.draw_rect((x, top), (x + 1, bottom), color, true)?;
        }
    }
    Ok(())
}

/// The width of `text` in pixels, on one line.
pub(crate) fn text_width(text: &str, size: f64, bold: bool) -> f64 {
    let Some(font) = font(bold) else { return 0.0 };
    let per_unit = size / f64::from(font.units_per_em().unwrap_or(1000.0));
    text.chars().map(|c| f64::from(font.h_advance_unscaled(font.glyph_id(c)))).sum::<f64>() * per_unit
}

fn font(bold: bool) -> Option<&'static FontRef<'static>> {
    if bold { BOLD.as_ref() } else { REGULAR.as_ref() }
}

/// A `TextStyle` on the fine grid, in the terms of plotters' backends.
struct FineText(TextStyle);

impl FineText {
    fn em(&self) -> f64 {
        self.0.size * f64::from(SUBPIXELS)
    }
}

impl BackendTextStyle for FineText {
    type FontError = Infallible;

    fn color(&self) -> BackendColor {
        self.0.color.to_backend_color()
    }

    fn size(&self) -> f64 {
        self.em() * SVG_FONT_RATIO
    }

    fn transform(&self) -> FontTransform {
        if self.0.upward { FontTransform::Rotate270 } else { FontTransform::None }
    }

    fn style(&self) -> FontStyle {
        if self.0.bold { FontStyle::Bold } else { FontStyle::Normal }
    }

    fn anchor(&self) -> Pos {
        Pos::new(self.0.anchor, VPos::Top)
    }

    fn family(&self) -> FontFamily<'_> {
        FontFamily::Name("Inter, Helvetica, Arial, sans-serif")
    }

    fn layout_box(&self, text: &str) -> std::result::Result<((i32, i32), (i32, i32)), Infallible> {
        let width = text_width(text, self.em(), self.0.bold).round() as i32;
        Ok(((0, 0), (width, self.em() as i32)))
    }

    fn draw<E, DrawFunc: FnMut(i32, i32, BackendColor) -> std::result::Result<(), E>>(
        &self,
        text: &str,
        (left, top): BackendCoord,
        mut draw_pixel: DrawFunc,
    ) -> std::result::Result<std::result::Result<(), E>, Infallible> {
        let Some(font) = font(self.0.bold) else { return Ok(Ok(())) };
        let scale = self.em() as f32 * font.height_unscaled() / font.units_per_em().unwrap_or(1000.0);
        let font = font.as_scaled(scale);
        let mut pen = left as f32;
        let baseline = top as f32 + (BASELINE_EM * self.em()) as f32;
        let mut result = Ok(());
        for c in text.chars() {
            let mut glyph = font.scaled_glyph(c);
            glyph.position = point(pen, baseline);
            pen += font.h_advance(glyph.id);
            let Some(outline) = font.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            outline.draw(|x, y, coverage| {
                let color = BackendColor { alpha: f64::from(coverage.min(1.0)), ..self.color() };
                if result.is_ok() && coverage > 0.0 {
                    result = draw_pixel(corner.x as i32 + x as i32, corner.y as i32 + y as i32, color);
                }
            });
        }
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fonts_parse_and_measure() {
        assert!(REGULAR.is_some() && BOLD.is_some());
        let (narrow, wide) = (text_width("ill", 20.0, false), text_width("MWM", 20.0, false));
        assert!(narrow > 5.0 && wide > 2.0 * narrow, "{narrow} {wide}");
        assert!(text_width("ROC", 20.0, true) > text_width("ROC", 20.0, false));
    }

    #[test]
    fn averaging_blocks_smooths_edges() {
        let mut fine = vec![255; 6 * 3 * 3];
        fine[..9].fill(0);
        assert_eq!(average_down(&fine, 2, 1), [170, 170, 170, 255, 255, 255]);
    }
}

//! The page as one HTML file: no network, no script needed.

use std::collections::HashSet;
use std::fmt::Write;

use super::inline_picture::{self, Colors};
use super::{Align, Block, Document, Figure, Passage, Section, Table, Tone, code_spans, passages};
use crate::Result;
use crate::render::escaped;

pub(crate) const STYLE: &str = include_str!("page.css");
/// On a dark screen; paper stays white.
pub(crate) const DARK_COLORS: &str = "color-scheme:dark;--ink:#e6eaee;--soft:#9ea9b4;--line:#2e353c;--ground:#121519;\
    --surface:#1b1f24;--tint:#252b31;--accent:#6cb6ff;--good:#63c98c;--warning:#e6b04d;--bad:#ff8a80;\
    --good-tint:#16301f;--warning-tint:#352812;--bad-tint:#3a1d1b;";
const SCRIPT: &str = include_str!("page.js");
/// Nothing is ever loaded from anywhere, whatever the page holds.
pub(crate) const POLICY: &str =
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
/// A table with more rows scrolls in its own box on a screen.
const TALL_ROWS: usize = 25;

impl Document {
    /// The page as one HTML file: pictures and styles are inside, in the light or dark colours that the reader's system
    /// asks for, on white on paper. Reads the figures' files: [`crate::Error::Read`] if one is missing. A table whose rows
    /// are too long or too short is [`crate::Error::Table`].
    pub fn to_html(&self) -> Result<String> {
        let mut colors = Colors::default();
        let ids = section_ids(&self.sections);
        let mut sections = String::new();
        for (section, id) in self.sections.iter().zip(&ids) {
            sections += &html_section(section, id, sections.is_empty(), &mut colors)?;
        }
        let title = escaped(&self.title);
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n<title>{title}</title>\n\
             <style>\n{STYLE}:root{{{}}}{}\n@media screen and (prefers-color-scheme: dark){{:root{{{DARK_COLORS}{}}}}}\n\
             </style>\n</head>\n<body>\n<div class=\"page\">\n<header>\n<h1>{title}</h1>\n",
            colors.variables(false),
            colors.rules(),
            colors.variables(true),
        );
        if !self.subtitle.is_empty() {
            let _ = writeln!(page, "<p class=\"subtitle\">{}</p>", spans(&self.subtitle));
        }
        if !self.summary.is_empty() {
            page += &tiles(&self.summary);
        }
        let _ = write!(page, "</header>\n{}<main>\n{sections}</main>\n", contents(&self.sections, &ids));
        if !self.footer.is_empty() {
            let _ = writeln!(page, "<footer>{}</footer>", spans(&self.footer));
        }
        let _ = write!(page, "</div>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n");
        Ok(page)
    }
}

/// A readable address for each section, e.g. `#by-hour-of-the-day`; the second of its name gets a number.
fn section_ids(sections: &[Section]) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut ids = Vec::new();
    for section in sections {
        let letters = section.title.to_lowercase();
        let words: Vec<&str> = letters.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
        let name = if words.is_empty() { "section".to_string() } else { words.join("-") };
        let numbered = (2..).map(|n| format!("{name}-{n}"));
        let id = std::iter::once(name.clone()).chain(numbered).find(|id| !taken.contains(id)).unwrap_or(name);
        taken.insert(id.clone());
        ids.push(id);
    }
    ids
}

fn contents(sections: &[Section], ids: &[String]) -> String {
    if sections.len() < 2 {
        // Without it, a wide page still needs something in its place.
        return "<div></div>\n".to_string();
    }
    let mut text = String::from("<nav aria-label=\"Contents\">\n<ol>\n");
    for (section, id) in sections.iter().zip(ids) {
        let _ = writeln!(text, "<li><a href=\"#{id}\">{}</a></li>", escaped(&section.title));
    }
    text + "</ol>\n</nav>\n"
}

/// The value large, what explains it small.
fn tiles(summary: &[(String, String)]) -> String {
    let mut text = String::from("<dl class=\"tiles\">\n");
    for (name, value) in summary {
        let cut = [value.find(" ["), value.find(" (")].into_iter().flatten().filter(|i| *i > 0).min();
        let (large, small) = value.split_at(cut.unwrap_or(value.len()));
        let small = if small.is_empty() { String::new() } else { format!("<small>{}</small>", escaped(small.trim())) };
        let _ = writeln!(text, "<div><dt>{}</dt><dd>{}{small}</dd></div>", escaped(name), escaped(large));
    }
    text + "</dl>\n"
}

fn html_section(section: &Section, id: &str, is_first: bool, colors: &mut Colors) -> Result<String> {
    // On paper, a section that is only a few lines does not get a page of its own.
    let is_long = section.blocks.iter().any(|block| matches!(block, Block::Table(_) | Block::Figure(_)));
    let class = if is_long && !is_first { " class=\"page-break\"" } else { "" };
    let title = escaped(&section.title);
    let mut text = format!("<section id=\"{id}\"{class} aria-labelledby=\"{id}--title\">\n");
    let _ = writeln!(text, "<h2 id=\"{id}--title\">{title}</h2>");
    if let Some(about) = &section.text {
        let _ = writeln!(text, "<div>{}</div>", running_text(about));
    }
    let is_figure = |block: &Block| matches!(block, Block::Figure(_));
    for blocks in section.blocks.chunk_by(|a, b| is_figure(a) && is_figure(b)) {
        let (before, after) = if is_figure(&blocks[0]) { ("<div class=\"plots\">\n", "</div>\n") } else { ("", "") };
        text += before;
        for block in blocks {
            text += &html_block(block, colors)?;
        }
        text += after;
    }
    Ok(text + "</section>\n")
}

fn html_block(block: &Block, colors: &mut Colors) -> Result<String> {
    Ok(match block {
        Block::Text(text) => format!("<div>{}</div>\n", running_text(text)),
        Block::Facts(pairs) => facts(pairs),
        Block::Table(table) => html_table(table)?,
        Block::Figure(figure) => html_figure(figure, colors)?,
        Block::Note { tone, text } => note(*tone, text),
        Block::Code(code) => {
            let lines: Vec<String> = code.trim_end_matches('\n').lines().map(escaped).collect();
            format!("<pre><code>{}</code></pre>\n", lines.join("\n"))
        }
    })
}

/// A remark in a box.
pub(crate) fn note(tone: Tone, text: &str) -> String {
    let class = class_of(tone, "").unwrap_or_default();
    format!("<aside role=\"note\"{class}>{}</aside>\n", running_text(text))
}

fn running_text(text: &str) -> String {
    let passage = |passage: &Passage| match passage {
        Passage::Paragraph(text) => format!("<p>{}</p>", spans(text)),
        Passage::List(items) => {
            format!("<ul>{}</ul>", items.iter().map(|item| format!("<li>{}</li>", spans(item))).collect::<String>())
        }
    };
    passages(text).iter().map(passage).collect()
}

/// One line with its code spans.
fn spans(text: &str) -> String {
    let piece = |(text, is_code)| if is_code { format!("<code>{}</code>", escaped(text)) } else { escaped(text) };
    code_spans(text).into_iter().map(piece).collect()
}

fn facts(pairs: &[(String, String)]) -> String {
    let fact =
        |(name, value): &(String, String)| format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escaped(name), spans(value));
    format!("<dl class=\"facts\">\n{}</dl>\n", pairs.iter().map(fact).collect::<String>())
}

/// ` class=".."`, or nothing where there is no class.
fn class_of(tone: Tone, other: &str) -> Option<String> {
    let tone = match tone {
        Tone::Plain => "",
        Tone::Good => "good",
        Tone::Warning => "warning",
        Tone::Bad => "bad",
    };
    let classes = [other, tone].into_iter().filter(|class| !class.is_empty()).collect::<Vec<_>>().join(" ");
    (!classes.is_empty()).then(|| format!(" class=\"{classes}\""))
}

fn html_table(table: &Table) -> Result<String> {
    table.check()?;
    let number = |i: usize| if table.columns[i].align == Align::Right { "n" } else { "" };
    let class = |tone, i| class_of(tone, number(i)).unwrap_or_default();
    let mut text = String::from("<figure>\n");
    if !table.caption.is_empty() {
        let _ = writeln!(text, "<figcaption><b>{}</b></figcaption>", escaped(&table.caption));
    }
    let tall = if table.rows.len() > TALL_ROWS { " tall" } else { "" };
    // On paper, where nothing scrolls, many columns are set small, and more than fit are cut within words.
    let size = match table.columns.len() {
        0..=8 => "",
        9..=14 => " class=\"many\"",
        _ => " class=\"many most\"",
    };
    let _ = write!(text, "<div class=\"scroll{tall}\"><table{size}>\n<thead><tr>");
    for (i, column) in table.columns.iter().enumerate() {
        let _ = write!(text, "<th scope=\"col\"{}>{}</th>", class(Tone::Plain, i), escaped(&column.name));
    }
    text += "</tr></thead>\n<tbody>\n";
    for row in &table.rows {
        text += "<tr>";
        for (i, cell) in row.iter().enumerate() {
            // The first column names the rows.
            let (tag, scope) = if i == 0 { ("th", " scope=\"row\"") } else { ("td", "") };
            let _ = write!(text, "<{tag}{scope}{}>{}</{tag}>", class(cell.tone, i), spans(&cell.text));
        }
        text += "</tr>\n";
    }
    Ok(text + "</tbody>\n</table></div>\n</figure>\n")
}

fn html_figure(figure: &Figure, colors: &mut Colors) -> Result<String> {
    let picture = inline_picture::load(&figure.stem, colors)?;
    let or_own = |text: &str, own: &str| if text.is_empty() { own.to_string() } else { spans(text) };
    // What is under the picture's own heading is not lost, but said once.
    let (title, caption) = (or_own(&figure.title, &picture.title), or_own(&figure.caption, &picture.subtitle));
    let alt = if figure.title.is_empty() { picture.title } else { escaped(&figure.title) };
    let [before, after] = picture.element;
    let mut text = format!("<figure class=\"plot\" style=\"--w:{}\">\n", picture.width);
    if !(title.is_empty() && caption.is_empty()) {
        let _ = writeln!(text, "<figcaption><b>{title}</b><span>{caption}</span></figcaption>");
    }
    let _ = write!(text, "<div class=\"picture\">{before}{alt}{after}</div>\n</figure>\n");
    Ok(text)
}

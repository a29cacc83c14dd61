//! The page as Markdown: CommonMark with GitHub's tables.

use std::fmt::Write;
use std::path::Path;

use super::{Align, Block, Cell, Document, Figure, Passage, Table, Tone, code_spans, passages};
use crate::Result;
use crate::canvas::writable;

impl Document {
    /// The page as Markdown. `pictures` is the folder of the figures' PNG files, seen from where the Markdown file is to lie;
    /// links are relative and end in the name of the figure's stem. Fails only for a table whose rows are too long or too
    /// short.
    pub fn to_markdown(&self, pictures: &Path) -> Result<String> {
        let mut page = format!("# {}\n", escaped(&self.title));
        if !self.subtitle.is_empty() {
            let _ = write!(page, "\n{}\n", prose(&self.subtitle));
        }
        if !self.summary.is_empty() {
            page += &facts(&self.summary);
        }
        for section in &self.sections {
            let _ = write!(page, "\n## {}\n", escaped(&section.title));
            page += &section.text.as_deref().map_or(String::new(), running_text);
            for block in &section.blocks {
                page += &markdown_block(block, pictures)?;
            }
        }
        if !self.footer.is_empty() {
            let _ = write!(page, "\n---\n\n{}\n", prose(&self.footer));
        }
        Ok(page)
    }
}

/// Begins with an empty line and ends with a line break, as all parts below.
fn markdown_block(block: &Block, pictures: &Path) -> Result<String> {
    Ok(match block {
        Block::Text(text) => running_text(text),
        Block::Facts(pairs) => facts(pairs),
        Block::Table(table) => markdown_table(table)?,
        Block::Figure(figure) => picture_link(figure, pictures),
        Block::Note { tone, text } => note(*tone, text),
        Block::Code(code) => fenced(code),
    })
}

fn running_text(text: &str) -> String {
    let passage = |passage: &Passage| match passage {
        Passage::Paragraph(text) => format!("\n{}\n", prose(text)),
        Passage::List(items) => format!("\n{}", items.iter().map(|i| format!("- {}\n", prose(i))).collect::<String>()),
    };
    passages(text).iter().map(passage).collect()
}

fn facts(pairs: &[(String, String)]) -> String {
    let row = |(name, value): &(String, String)| format!("| {} | {} |\n", in_cell(name), in_cell(value));
    format!("\n| | |\n| --- | --- |\n{}", pairs.iter().map(row).collect::<String>())
}

fn markdown_table(table: &Table) -> Result<String> {
    table.check()?;
    let mut text = String::new();
    if !table.caption.is_empty() {
        let _ = write!(text, "\n**{}**\n", escaped(&table.caption));
    }
    if table.columns.is_empty() {
        return Ok(text);
    }
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let rule = |align| if align == Align::Right { "---:" } else { "---" }.to_string();
    text += "\n";
    text += &line(table.columns.iter().map(|column| in_cell(&column.name)).collect());
    text += &line(table.columns.iter().map(|column| rule(column.align)).collect());
    for row in &table.rows {
        text += &line(row.iter().map(toned).collect());
    }
    Ok(text)
}

fn toned(cell: &Cell) -> String {
    let text = in_cell(&cell.text);
    if cell.tone == Tone::Plain || text.is_empty() { text } else { format!("**{text}**") }
}

fn in_cell(text: &str) -> String {
    // A table is cut into cells before anything else is read, so a bar in code needs the backslash, too.
    spans(text).replace('|', "\\|")
}

fn picture_link(figure: &Figure, pictures: &Path) -> String {
    let name = figure.stem.file_name().unwrap_or_default().to_string_lossy();
    let path = pictures.join(format!("{name}.png")).to_string_lossy().replace('\\', "/");
    let alt = if figure.title.is_empty() { &name } else { figure.title.as_str() };
    let mut text = format!("\n![{}]({})\n", escaped(alt), encoded(&path));
    if !figure.caption.is_empty() {
        let _ = write!(text, "\n{}\n", prose(&figure.caption));
    }
    text
}

/// What would end a link early.
fn encoded(path: &str) -> String {
    let encode = |c: char| match c {
        ' ' | '(' | ')' | '<' | '>' | '%' | '"' | '?' | '#' => format!("%{:02X}", u32::from(c)),
        c if c.is_control() => "%20".to_string(),
        c => c.to_string(),
    };
    path.chars().map(encode).collect()
}

fn note(tone: Tone, text: &str) -> String {
    let word = match tone {
        Tone::Plain => "Note",
        Tone::Good => "Good",
        Tone::Warning => "Warning",
        Tone::Bad => "Problem",
    };
    let body = running_text(text);
    let lines = body.trim_end().lines().map(|line| if line.is_empty() { ">\n".into() } else { format!("> {line}\n") });
    format!("\n> **{word}**\n{}", lines.collect::<String>())
}

/// The fence is longer than any run of backticks inside.
fn fenced(code: &str) -> String {
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat((longest + 1).max(3));
    format!("\n{fence}text\n{}\n{fence}\n", code.trim_end_matches('\n'))
}

/// A line of running text.
fn prose(text: &str) -> String {
    guarded(spans(text))
}

/// Text with its code spans.
fn spans(text: &str) -> String {
    let piece = |(text, is_code)| if is_code { format!("`{}`", writable(text)) } else { inline(text) };
    code_spans(text).into_iter().map(piece).collect()
}

/// One line without code spans.
fn escaped(text: &str) -> String {
    guarded(inline(text))
}

/// Letters that mean something inside a line; an underscore only does at the edge of a word.
fn inline(text: &str) -> String {
    let text = writable(text);
    let letters: Vec<char> = text.chars().collect();
    let is_word = |i: Option<usize>| i.and_then(|i| letters.get(i)).is_some_and(|c| c.is_alphanumeric());
    let mut out = String::with_capacity(text.len());
    for (i, &c) in letters.iter().enumerate() {
        let is_inner = c == '_' && is_word(i.checked_sub(1)) && is_word(Some(i + 1));
        if matches!(c, '\\' | '*' | '_' | '`' | '[' | ']' | '<' | '>' | '&' | '~' | '$') && !is_inner {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Keeps the start of a line from making it a heading, a list or a rule.
fn guarded(line: String) -> String {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = line.split_at(digits);
    if digits > 0 && [". ", ") "].iter().any(|end| rest.starts_with(end)) {
        return format!("{number}\\{rest}");
    }
    if line.starts_with(['#', '-', '+', '=']) { format!("\\{line}") } else { line }
}

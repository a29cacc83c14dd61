//! A page of text, tables and pictures: as one HTML file that needs nothing else, and as Markdown.
//!
//! All text comes in plain and goes out escaped; control characters become spaces. In [`Block::Text`], in notes and under
//! a section's title, an empty line ends a paragraph, lines that begin with `- ` are a list, and a piece between
//! backticks is code.

pub(crate) mod html;
mod inline_picture;
mod markdown;

use std::path::PathBuf;

use crate::{Error, Result};

/// A page: a head with the numbers that matter, then sections.
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// Stands on top, and on the browser's tab.
    pub title: String,
    /// One line under the title, e.g. model, data set and date; may be empty.
    pub subtitle: String,
    /// Names and values that a hurried reader wants, e.g. `("test ROC AUC", "0.912 [0.906, 0.918]")`. What follows the
    /// first ` [` or ` (` of a value is written small.
    pub summary: Vec<(String, String)>,
    /// In the order of reading; each is listed in the table of contents.
    pub sections: Vec<Section>,
    /// The last line, e.g. which program wrote the page; may be empty.
    pub footer: String,
}

/// A part of a page with a heading.
#[derive(Debug, Clone, Default)]
pub struct Section {
    /// The heading; two sections may have the same.
    pub title: String,
    /// What the section is about.
    pub text: Option<String>,
    /// From top to bottom; pictures that follow each other stand side by side where there is room.
    pub blocks: Vec<Block>,
}

/// A piece of a section.
#[derive(Debug, Clone)]
pub enum Block {
    /// Paragraphs and lists.
    Text(String),
    /// Names and their values, e.g. the facts of a data set.
    Facts(Vec<(String, String)>),
    /// Rows and columns; a reader sorts them by a click on a column's name, where scripts run.
    Table(Table),
    /// A picture.
    Figure(Figure),
    /// A remark in a box.
    Note {
        /// Its colour.
        tone: Tone,
        /// Paragraphs and lists.
        text: String,
    },
    /// Text of fixed width, e.g. a command; kept as it is.
    Code(String),
}

/// Rows of text. Each row has one cell per column.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Stands above the table; may be empty.
    pub caption: String,
    /// The head.
    pub columns: Vec<TableColumn>,
    /// The body; a row of another length than `columns` is [`Error::Table`].
    pub rows: Vec<Vec<Cell>>,
}

/// The head of one column.
#[derive(Debug, Clone, Default)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// Where its cells stand.
    pub align: Align,
}

/// Where the text of a column stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Align {
    /// For words.
    #[default]
    Left,
    /// For numbers; the column is sorted by them.
    Right,
}

/// One cell of a table.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    /// On one line in Markdown.
    pub text: String,
    /// Its colour; what is not [`Tone::Plain`] is also bold.
    pub tone: Tone,
}

/// What a piece of text means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// Passed, within limits.
    Good,
    /// Worth a look.
    Warning,
    /// Failed, beyond limits.
    Bad,
}

/// A picture that a function of this crate has written.
#[derive(Debug, Clone, Default)]
pub struct Figure {
    /// As it was given to that function: the page takes `STEM.svg`, in the reader's light or dark colours, or `STEM.png` on
    /// white where there is no SVG. Markdown links to `STEM.png`.
    pub stem: PathBuf,
    /// Stands above the picture; if empty, the picture's own title.
    pub title: String,
    /// What the reader should see in it; if empty, the picture's own subtitle.
    pub caption: String,
}

impl TableColumn {
    /// A column of words.
    pub fn left(name: impl Into<String>) -> TableColumn {
        TableColumn { name: name.into(), align: Align::Left }
    }

    /// A column of numbers.
    pub fn right(name: impl Into<String>) -> TableColumn {
        TableColumn { name: name.into(), align: Align::Right }
    }
}

impl Cell {
    /// A cell of nothing special.
    pub fn plain(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), tone: Tone::Plain }
    }

    /// A cell with a meaning.
    pub fn toned(text: impl Into<String>, tone: Tone) -> Cell {
        Cell { text: text.into(), tone }
    }
}

impl Table {
    fn check(&self) -> Result<()> {
        let columns = self.columns.len();
        let Some(row) = self.rows.iter().position(|row| row.len() != columns) else { return Ok(()) };
        let problem = format!("row {} has {} cells, but there are {columns} columns", row + 1, self.rows[row].len());
        Err(Error::Table { caption: self.caption.clone(), problem })
    }
}

/// A piece of running text.
enum Passage {
    Paragraph(String),
    List(Vec<String>),
}

/// Paragraphs and lists; a line that follows an item without `- ` belongs to that item.
fn passages(text: &str) -> Vec<Passage> {
    let mut passages = Vec::new();
    let mut is_open = false;
    for line in text.lines().map(str::trim) {
        let item = line.strip_prefix("- ");
        match (passages.last_mut(), item) {
            _ if line.is_empty() => {}
            (Some(Passage::List(items)), Some(item)) if is_open => items.push(item.to_string()),
            (Some(Passage::List(items)), None) if is_open => items.last_mut().into_iter().for_each(|of| {
                *of = format!("{of} {line}");
            }),
            (Some(Passage::Paragraph(paragraph)), None) if is_open => *paragraph = format!("{paragraph} {line}"),
            (_, Some(item)) => passages.push(Passage::List(vec![item.to_string()])),
            (_, None) => passages.push(Passage::Paragraph(line.to_string())),
        }
        is_open = !line.is_empty();
    }
    passages
}

/// Pieces of a text, each with whether it stood between backticks; a backtick without a partner is a letter.
fn code_spans(text: &str) -> Vec<(&str, bool)> {
    if !text.matches('`').count().is_multiple_of(2) {
        return vec![(text, false)];
    }
    let pieces = text.split('`').enumerate().map(|(i, piece)| (piece, i % 2 == 1));
    pieces.filter(|(piece, _)| !piece.is_empty()).collect()
}

//! Cells in rows, as a terminal table that fits, CSV or Markdown.

/// A table of texts.
pub struct Grid {
    /// Names of the columns.
    pub columns: Vec<GridColumn>,
    /// One text per column each.
    pub rows: Vec<Vec<String>>,
}

/// A column.
#[derive(Debug, Clone)]
pub struct GridColumn {
    /// Stands on top.
    pub name: String,
    /// Stands on the right, and is never cut: half a number is another one.
    pub is_number: bool,
    /// May go when there is no room: the greatest first. 0 stays.
    pub rank: usize,
}

/// The least that is left of a text that is cut.
const LEAST_WIDTH: usize = 20;

impl Grid {
    /// Aligned columns. In a terminal of `width` columns the long texts are cut, then the columns of the highest rank are
    /// left out; the names of those are the second value.
    pub fn to_text(&self, width: Option<usize>) -> (String, Vec<String>) {
        let natural: Vec<usize> = (0..self.columns.len()).map(|column| self.width_of(column)).collect();
        let mut widths: Vec<Option<usize>> = natural.iter().copied().map(Some).collect();
        if let Some(width) = width {
            fit(&mut widths, &self.columns, width);
        }
        let line = |cells: &[String]| {
            let mut text = String::new();
            for ((cell, column), width) in cells.iter().zip(&self.columns).zip(&widths) {
                let Some(width) = width else { continue };
                let cell = cut(cell, *width);
                let padding = " ".repeat(width - cell.chars().count());
                text += &if column.is_number { format!("{padding}{cell}  ") } else { format!("{cell}{padding}  ") };
            }
            text.trim_end().to_owned()
        };
        let heading: Vec<String> = self.columns.iter().map(|column| column.name.clone()).collect();
        let lines: Vec<String> = std::iter::once(line(&heading)).chain(self.rows.iter().map(|row| line(row))).collect();
        let hidden = self.columns.iter().zip(&widths).filter(|(_, width)| width.is_none());
        (lines.join("\n"), hidden.map(|(column, _)| column.name.clone()).collect())
    }

    fn width_of(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[column].chars().count());
        cells.chain([self.columns[column].name.chars().count()]).max().unwrap_or(0)
    }

    /// RFC 4180.
    pub fn to_csv(&self) -> String {
        let quote = |cell: &String| match cell.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", cell.replace('"', "\"\"")),
            false => cell.clone(),
        };
        let line = |cells: &mut dyn Iterator<Item = &String>| cells.map(quote).collect::<Vec<_>>().join(",") + "\n";
        let heading = line(&mut self.columns.iter().map(|column| &column.name));
        std::iter::once(heading).chain(self.rows.iter().map(|row| line(&mut row.iter()))).collect()
    }

    /// A table of GitHub's Markdown.
    pub fn to_markdown(&self) -> String {
        let escape = |cell: &str| cell.replace('|', "\\|").replace('\n', " ");
        let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
        let heading = line(self.columns.iter().map(|column| escape(&column.name)).collect());
        let rule = line(self.columns.iter().map(|c| if c.is_number { "---:" } else { "---" }.to_owned()).collect());
        let rows = self.rows.iter().map(|row| line(row.iter().map(|cell| escape(cell)).collect()));
        [heading, rule].into_iter().chain(rows).collect::<Vec<_>>().join("\n")
    }
}

/// Leaves columns out until the rest fits with its texts cut as far as they may be; then cuts the widest no more than needed.
fn fit(widths: &mut [Option<usize>], columns: &[GridColumn], room: usize) {
    let least = |width: usize, column: &GridColumn| match column.is_number {
        true => width,
        false => width.min(LEAST_WIDTH.max(column.name.chars().count())),
    };
    let total =
        |widths: &mut dyn Iterator<Item = usize>| widths.map(|width| width + 2).sum::<usize>().saturating_sub(2);
    let shortest = |widths: &[Option<usize>]| {
        total(&mut widths.iter().zip(columns).filter_map(|(width, column)| Some(least((*width)?, column))))
    };
    while shortest(widths) > room {
        let droppable = |index: &usize| widths[*index].is_some() && columns[*index].rank > 0;
        let Some(last) = (0..widths.len()).filter(droppable).max_by_key(|index| columns[*index].rank) else { break };
        widths[last] = None;
    }
    while total(&mut widths.iter().flatten().copied()) > room {
        let can_be_cut = |index: &usize| widths[*index].is_some_and(|width| width > least(width, &columns[*index]));
        let Some(widest) = (0..widths.len()).filter(can_be_cut).max_by_key(|index| widths[*index]) else { return };
        widths[widest] = widths[widest].map(|width| width - 1);
    }
}

/// At most `width` characters, with `…` in the middle where some are missing: names of runs begin alike and end in what tells
/// them apart.
fn cut(text: &str, width: usize) -> String {
    let n_chars = text.chars().count();
    if n_chars <= width {
        return text.to_owned();
    }
    let (kept, tail) = (width.saturating_sub(1), width.saturating_sub(1) / 2);
    text.chars().take(kept - tail).chain(['…']).chain(text.chars().skip(n_chars - tail)).collect()
}

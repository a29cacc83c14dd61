//! The page: well formed, self-contained, and escaped, whatever is put in.

#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use report::{
    Block, Cell, ConfusionMatrix, Document, Error, Figure, Importance, PermutationImportance, Section, Table,
    TableColumn, Tone, confusion_matrix, permutation_importance,
};

const HOSTILE: &str = "<script>alert('1')</script> & \"quotes\" `code <b>` -- ]]> \u{0}\u{7} | *a* _b_ 東京";

fn pairs(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_string(), value.to_string())]
}

/// A picture with text that must be escaped.
fn draw(stem: &Path) {
    let feature = Importance { feature: HOSTILE, mean: 0.25, spread: 0.01 };
    let (title, subtitle, metric) = ("Importance \"& more\"", HOSTILE, "AUC");
    let spec = PermutationImportance { title, subtitle, metric, lower_is_better: false, features: &[feature] };
    permutation_importance(&spec, stem).unwrap();
}

fn document(stem: &Path, text: &str) -> Document {
    let figure = |title: &str, caption: &str| {
        Block::Figure(Figure { stem: stem.into(), title: title.to_string(), caption: caption.to_string() })
    };
    let tones = [Tone::Plain, Tone::Good, Tone::Warning, Tone::Bad];
    let table = Table {
        caption: text.to_string(),
        columns: vec![TableColumn::left(text), TableColumn::right("AUC")],
        rows: tones.map(|tone| vec![Cell::plain(text), Cell::toned("0.912", tone)]).to_vec(),
    };
    let mut blocks = vec![
        Block::Text(format!("{text}\n\n- {text}\n- second\n  goes on\nand on\n\nlast")),
        Block::Facts(pairs(text, text)),
        figure("", ""),
        figure(text, text),
        Block::Table(table),
        Block::Code(format!("{text}\n```\nindented")),
    ];
    blocks.extend(tones.map(|tone| Block::Note { tone, text: text.to_string() }));
    let section =
        |title: &str| Section { title: title.to_string(), text: Some(text.to_string()), blocks: blocks.clone() };
    Document {
        title: text.to_string(),
        subtitle: text.to_string(),
        summary: pairs(text, "0.912 [0.905, 0.918]"),
        sections: vec![section("Results"), section("Results"), section("東京"), section(text)],
        footer: text.to_string(),
    }
}

/// Start tags with their attributes, in order; fails where an end tag does not match.
fn tags(html: &str) -> Vec<(String, String)> {
    const VOID: [&str; 3] = ["meta", "img", "br"];
    let (mut found, mut open) = (Vec::new(), Vec::new());
    let mut rest = html.strip_prefix("<!doctype html>").unwrap();
    while let Some((text, tag)) = rest.split_once('<') {
        assert!(!text.contains('>'), "a bare `>` in `{text}`");
        let (tag, after) = tag.split_once('>').unwrap();
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "</{name}>");
            continue;
        }
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        found.push((name.to_string(), attributes.to_string()));
        if name == "style" || name == "script" {
            rest = rest.split_once(&format!("</{name}>")).unwrap().1;
        } else if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name.to_string());
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    found
}

fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let value = format!(" {attributes}");
    let start = value.find(&format!(" {name}=\""))? + name.len() + 2;
    attributes[start..].split('"').next()
}

#[test]
fn html_is_well_formed_and_self_contained() {
    let folder = tempfile::tempdir().unwrap();
    let stem = folder.path().join("importance");
    draw(&stem);
    let html = document(&stem, HOSTILE).to_html().unwrap();
    let tags = tags(&html);
    let names: HashSet<&str> = tags.iter().map(|(name, _)| name.as_str()).collect();
    for name in
        ["main", "nav", "header", "section", "footer", "figure", "figcaption", "table", "dl", "aside", "pre", "svg"]
    {
        assert!(names.contains(name), "no <{name}>");
    }
    assert_eq!(tags.iter().filter(|(name, _)| name == "script").count(), 1);
    assert!(!names.contains("b>") && !html.contains("<script>alert"));
    let ids: Vec<&str> = tags.iter().filter_map(|(_, attributes)| attribute(attributes, "id")).collect();
    assert_eq!(ids.len(), ids.iter().collect::<HashSet<_>>().len(), "{ids:?}");
    for (name, attributes) in &tags {
        for key in ["src", "href", "action", "data", "poster"] {
            let Some(value) = attribute(attributes, key) else { continue };
            let is_inside = value.strip_prefix('#').is_some_and(|id| ids.contains(&id)) || value.starts_with("data:");
            assert!(is_inside, "<{name} {key}=\"{value}\">");
        }
        assert!(!attributes.contains(" on") && attribute(attributes, "onload").is_none(), "<{name} {attributes}>");
        if name == "svg" {
            assert!(!attribute(attributes, "aria-label").unwrap().is_empty());
        }
    }
    for outside in ["url(", "@import", "http:", "https:", "<link", "<iframe"] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(html.contains("id=\"results\"") && html.contains("id=\"results-2\"") && html.contains("id=\"section\""));
    assert!(!html.chars().any(|c| c.is_control() && c != '\n'));
    assert_eq!(html, document(&stem, HOSTILE).to_html().unwrap());
}

#[test]
fn pictures_go_in_by_their_colours_and_once_by_their_heading() {
    let folder = tempfile::tempdir().unwrap();
    let stem = folder.path().join("confusion");
    let classes = ["no".to_string(), "yes".to_string()];
    let spec = ConfusionMatrix {
        title: "Confusion",
        subtitle: "16,281 rows",
        classes: &classes,
        counts: &[vec![7, 1], vec![2, 9]],
    };
    confusion_matrix(&spec, &stem).unwrap();
    let page = |title: &str, caption: &str| {
        let figure = Figure { stem: stem.clone(), title: title.into(), caption: caption.into() };
        let sections = vec![Section { blocks: vec![Block::Figure(figure)], ..Section::default() }];
        Document { sections, ..Document::default() }.to_html().unwrap()
    };
    let own = page("", "");
    assert!(own.contains("<b>Confusion</b><span>16,281 rows</span>"));
    assert!(own.contains("role=\"img\" aria-label=\"Confusion\""));
    assert_eq!(own.matches("16,281 rows").count(), 1);
    let given = page("Errors", "Rows are true classes.");
    assert!(given.contains("<b>Errors</b><span>Rows are true classes.</span>") && !given.contains(">Confusion<"));

    // The SVG's colours are classes with a light and a dark value.
    let svg = own.split_once("<svg").unwrap().1;
    assert!(!svg.contains("fill=\"#") && !svg.contains("stroke=\"#") && svg.contains("Predicted class"));
    assert_eq!(own.matches("#1f2328;").count(), own.matches(":#1f2328;").count() + own.matches(" #1f2328;").count());
    assert!(own.contains(":#1f2328;") && own.contains(":#e6eaee;"));
    // The white ground would cover the caption where the picture is not clipped, as on paper.
    assert!(!svg.contains("<rect x=\"0\" y=\"0\""));
    let written = fs::metadata(stem.with_extension("svg")).unwrap().len() as usize;
    assert!(svg.len() < written * 3 / 4, "{} of {written} bytes", svg.len());
}

#[test]
fn other_pictures_go_in_as_images() {
    let folder = tempfile::tempdir().unwrap();
    let stem = folder.path().join("picture");
    let page = || {
        let blocks =
            vec![Block::Figure(Figure { stem: stem.clone(), title: "A \"picture\"".into(), ..Figure::default() })];
        Document { sections: vec![Section { blocks, ..Section::default() }], ..Document::default() }.to_html()
    };
    let error = page().unwrap_err();
    assert!(matches!(&error, Error::Read { path, .. } if path.ends_with("picture.svg")), "{error}");

    draw(&stem);
    let ours = fs::read_to_string(stem.with_extension("svg")).unwrap();
    assert!(page().unwrap().contains("<svg"));
    let parts = [
        ("<rect ", "<image href=\"http://a/b.png\" "),
        ("<rect ", "<rect onclick=\"alert(1)\" "),
        ("<rect ", "<rect fill=\"url(#a)\" "),
        ("<rect ", "<script>alert(1)</script><rect "),
        ("<title>", "<title>\" onload=\"alert(1)"),
        ("data-heading=\"", "data-heading=\"9"),
        ("</svg>", ""),
    ];
    for (part, with) in parts {
        fs::write(stem.with_extension("svg"), ours.replace(part, with)).unwrap();
        let html = page().unwrap();
        assert!(html.contains("<img src=\"data:image/svg+xml;base64,"), "{with}");
        assert!(!html.contains("<svg") && !html.contains("alert(1)") && html.contains("alt=\"A &quot;picture&quot;\""));
        tags(&html);
    }
    fs::remove_file(stem.with_extension("svg")).unwrap();
    let html = page().unwrap();
    assert!(html.contains("<img src=\"data:image/png;base64,iVBORw0KGgo") && html.contains("--w:1400"));
}

#[test]
fn markdown_links_pictures_and_escapes() {
    let folder = tempfile::tempdir().unwrap();
    let stem = folder.path().join("import ance");
    draw(&stem);
    let text = document(&stem, HOSTILE).to_markdown(Path::new("plots")).unwrap();
    assert!(text.contains("](plots/import%20ance.png)\n"), "{text}");
    assert!(text.contains("\n````text\n<script>alert") && text.contains("`code <b>`"));
    let prose: String = text.split("````").step_by(2).collect();
    assert!(!prose.contains("<script>") && prose.contains("\\<script\\>"));
    assert!(text.contains("\\*a\\* \\_b\\_"));
    assert_eq!(text.matches("## Results\n").count(), 2);
    assert!(text.contains("\n- second goes on and on\n\nlast\n"), "{text}");
    assert!(text.contains("| **0.912** |\n") && text.contains("| --- | ---: |\n"));
    assert!(text.contains("> **Warning**\n"));
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
    for row in rows {
        let bars = row.replace("\\|", "").matches('|').count();
        assert_eq!(bars, 3, "{row}");
    }
    let plain = |text: &str| {
        let sections = vec![Section { blocks: vec![Block::Text(text.to_string())], ..Section::default() }];
        Document { sections, ..Document::default() }.to_markdown(Path::new("")).unwrap()
    };
    for (text, line) in [
        ("# no heading", "\\# no heading"),
        ("1. no list", "1\\. no list"),
        ("1.5 is a number", "1.5 is a number"),
        ("native_country and `a_b`", "native_country and `a_b`"),
        ("a lone ` is a letter", "a lone \\` is a letter"),
    ] {
        assert!(plain(text).ends_with(&format!("\n{line}\n")), "{}", plain(text));
    }
}

#[test]
fn rows_of_a_table_must_fit_its_columns() {
    let table = Table {
        caption: "Slices".to_string(),
        columns: vec![TableColumn::left("slice"), TableColumn::right("AUC")],
        rows: vec![vec![Cell::plain("a"), Cell::plain("1")], vec![Cell::plain("b")]],
    };
    let sections = vec![Section { blocks: vec![Block::Table(table)], ..Section::default() }];
    let page = Document { sections, ..Document::default() };
    for error in [page.to_html().unwrap_err(), page.to_markdown(Path::new("")).unwrap_err()] {
        assert_eq!(error.to_string(), "cannot write the table `Slices`: row 2 has 1 cells, but there are 2 columns");
    }
    let empty = Document::default();
    tags(&empty.to_html().unwrap());
    assert_eq!(empty.to_markdown(Path::new("")).unwrap(), "# \n");
}

/// With the path of a Chromium in `CHROMIUM`: the page as that browser sees it, on a phone and on a desktop.
#[test]
fn a_browser_finds_nothing_to_complain_of() {
    let Ok(chromium) = std::env::var("CHROMIUM") else {
        eprintln!("skipped: CHROMIUM is not set");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let stem = folder.path().join("importance");
    draw(&stem);
    let page = document(&stem, HOSTILE).to_html().unwrap();
    // The frames stand for screens: a headless window cannot be as narrow as a phone.
    let probe = "<!doctype html><title>wait</title><body><script>\
        const found = [];\
        for (const width of [375, 1280]) {\
          const frame = document.createElement('iframe');\
          frame.style.cssText = `border:0;height:800px;width:${width}px`;\
          frame.onload = () => {\
            const page = frame.contentDocument, root = page.documentElement;\
            const small = [...page.querySelectorAll('svg')].filter(svg => svg.getBoundingClientRect().width < 200);\
            found.push(`${width}: too wide by ${root.scrollWidth - root.clientWidth}, ${small.length} small, ${page.querySelectorAll('thead span').length} heads`);\
            document.title = found.sort().join('; ');\
          };\
          frame.src = 'page.html';\
          document.body.append(frame);\
        }</script>";
    fs::write(folder.path().join("page.html"), page).unwrap();
    fs::write(folder.path().join("probe.html"), probe).unwrap();
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"])
        .args(["--virtual-time-budget=20000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("file://{}", folder.path().join("probe.html").display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let wanted = "<title>1280: too wide by 0, 0 small, 8 heads; 375: too wide by 0, 0 small, 8 heads</title>";
    assert!(dom.contains(wanted), "{dom}\n{}", String::from_utf8_lossy(&output.stderr));
}

//! The page of compared runs: what stands in it, and what it does in a browser.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::fs;
use std::path::Path;
use std::process::Command;

use report::{ComparedMetric, ComparedRun, MetricCurves, RunComparison, Tone};

const HOSTILE: &str = "</script><script>document.title='broken'</script>&<b>\u{2028}";

fn metric(name: &str, lower_is_better: bool) -> ComparedMetric {
    ComparedMetric { name: name.to_owned(), lower_is_better }
}

/// Three runs; the second one has a name that wants out of its place, the third one has no loss.
fn few() -> RunComparison {
    let run = |index: usize, name: &str, auc: f64, loss: Option<f64>, dropout: &str| ComparedRun {
        run_id: format!("{index}234567890abcdef"),
        name: name.to_owned(),
        status: "FINISHED".to_owned(),
        kind: "train".to_owned(),
        experiment: "income".to_owned(),
        metrics: vec![Some(auc), loss],
        params: vec![Some(dropout.to_owned()), (index == 0).then(|| "adamw".to_owned())],
        facts: vec![Some(format!("commit {}", index % 2))],
        duration_seconds: Some(index as f64 * 70.0),
        ..ComparedRun::default()
    };
    let curve = |index: usize| (index, (0..5).map(|step| (f64::from(step), 0.5 + f64::from(step) / 10.0)).collect());
    RunComparison {
        title: "val_auc of 3 runs".to_owned(),
        notes: vec![(Tone::Warning, "1 of 3 runs used other data".to_owned())],
        metrics: vec![metric("val_auc", false), metric("val_loss", true)],
        params: vec!["model.dropout".to_owned(), "training.optimizer".to_owned()],
        runs: vec![
            run(0, "first", 0.92, Some(0.31), "0.1"),
            run(1, HOSTILE, 0.91, Some(0.29), "0.2"),
            run(2, "third", 0.90, None, "0.1"),
        ],
        curves: vec![MetricCurves { metric: "val_auc".to_owned(), points: vec![curve(0), curve(2)] }],
        facts: vec!["git commit".to_owned()],
        ..RunComparison::default()
    }
}

/// Runs with 20 metrics, 20 params and three curves of 50 points each.
fn many(n: usize) -> RunComparison {
    let noise = |a: usize, b: usize| ((a * 7919 + b * 104_729) % 1000) as f64 / 1000.0;
    let run = |index: usize| ComparedRun {
        run_id: format!("{index:032x}"),
        name: format!("trial_{index:04}"),
        kind: "trial".to_owned(),
        metrics: (0..20).map(|m| Some(if m == 0 { 0.95 - index as f64 / 1e4 } else { noise(index, m) })).collect(),
        params: (0..20)
            .map(|p| {
                Some(if p % 3 == 0 { format!("level {}", (index + p) % 4) } else { noise(index, p + 50).to_string() })
            })
            .collect(),
        duration_seconds: Some(noise(index, 90) * 100.0),
        ..ComparedRun::default()
    };
    let curve = |m: usize| MetricCurves {
        metric: format!("metric_{m}"),
        points: (0..n)
            .map(|run| (run, (0..50).map(|step| (f64::from(step), noise(run, m) + f64::from(step) / 50.0)).collect()))
            .collect(),
    };
    RunComparison {
        title: format!("{n} runs"),
        metrics: (0..20).map(|m| metric(&format!("metric_{m}"), m % 2 == 1)).collect(),
        params: (0..20).map(|p| format!("section.param_{p}")).collect(),
        runs: (0..n).map(run).collect(),
        curves: (0..3).map(curve).collect(),
        ..RunComparison::default()
    }
}

#[test]
fn lengths_that_contradict_each_other_are_errors() {
    let mut page = few();
    page.runs[1].params.pop();
    let error = page.to_html().unwrap_err().to_string();
    assert!(error.contains("run `1234567890abcdef` has 1 params, the page 2"), "{error}");
    let mut page = few();
    page.curves[0].points[1].0 = 3;
    let error = page.to_html().unwrap_err().to_string();
    assert!(error.contains("a curve is of run 3, and there are 3"), "{error}");
    let error = RunComparison::default().to_html().unwrap_err().to_string();
    assert!(error.contains("no metric"), "{error}");
}

#[test]
fn the_page_holds_everything_and_lets_nothing_out() {
    let mut page = few();
    page.runs[2].metrics[0] = Some(f64::NAN);
    let html = page.to_html().unwrap();
    assert_eq!(html.matches("<script").count(), 2, "data and code");
    assert!(html.contains("\\u003c/script\\u003e") && !html.contains(HOSTILE));
    assert!(html.contains("\"metrics\":[null,null]"), "what is not finite is not known");
    assert!(html.contains("default-src 'none'") && !html.contains("http://") && !html.contains("https://"));
    assert_eq!(html, page.to_html().unwrap(), "equal input gives equal bytes");
}

/// Opens the page with a script behind it that writes what it found into the title; gives that. `None` without a browser.
fn in_browser(page: &RunComparison, folder: &Path, script: &str) -> Option<String> {
    let Ok(chromium) = std::env::var("CHROMIUM") else {
        eprintln!("SKIPPED: CHROMIUM is not set");
        return None;
    };
    let driver = format!(
        "<script>addEventListener('error', e => document.title = 'ERROR ' + e.message);\n\
         const wait = () => new Promise(done => setTimeout(done, 30)), out = [];\n\
         const say = (name, value) => out.push(`${{name}}=${{value}}`);\n\
         const rows = () => [...document.querySelectorAll('#runs tbody tr')].map(row => row.cells[2].textContent);\n\
         const head = name => [...document.querySelectorAll('#runs thead button')].find(b => b.title === name);\n\
         const type = (id, text) => {{ const node = document.getElementById(id); node.value = text; node.dispatchEvent(new Event('input')); }};\n\
         const pointer = (id, kind, x, y) => {{ const c = document.getElementById(id), b = c.getBoundingClientRect();\n\
           c.dispatchEvent(new PointerEvent(kind, {{ clientX: b.left + x, clientY: b.top + y, pointerId: 1, bubbles: true }})); }};\n\
         (async () => {{ try {{ {script} }} catch (error) {{ say('ERROR', error); }} document.title = out.join(' | '); }})();</script></body>"
    );
    let html = page.to_html().unwrap().replace("</body>", &driver);
    let path = folder.join("page.html");
    fs::write(&path, html).unwrap();
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,2000"])
        .args(["--virtual-time-budget=20000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}", path.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let title = dom.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next()).unwrap_or_default();
    let found = title.replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&");
    assert!(!found.contains("ERROR"), "{found}");
    Some(found)
}

#[test]
fn a_reader_sorts_filters_brushes_and_compares() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"
        say('start', rows().map(name => name.slice(0, 5)).join());
        say('marked', [...document.querySelectorAll('#runs td.good')].map(cell => cell.textContent).join());
        head('val_loss').click(); say('by loss', rows().map(name => name.slice(0, 5)).join());
        head('val_loss').click(); say('and back', rows().map(name => name.slice(0, 5)).join());
        say('aria', head('val_loss').parentElement.getAttribute('aria-sort'));
        type('filter', 'val_auc >= 0.91 and dropout = 0.1'); say('filtered', rows().join());
        type('filter', 'thi'); say('text', rows().join());
        type('filter', ''); say('count', document.getElementById('count').textContent);
        head('rank').click();
        const boxes = () => [...document.querySelectorAll('#runs tbody input')];
        boxes()[0].click(); boxes()[2].click();
        say('selected', document.getElementById('count').textContent);
        const diff = [...document.querySelectorAll('#diff tbody tr')].map(row => [...row.cells].map(cell => cell.textContent).join(':'));
        say('diff', diff.join(';'));
        document.getElementById('diff-all').click();
        say('all', document.querySelectorAll('#diff tbody tr').length);
        // The last axis is that of the ranking metric: its upper part.
        const x = geometry.x.at(-1);
        pointer('parallel', 'pointerdown', x, axisY(1) - 2); pointer('parallel', 'pointermove', x, axisY(.75)); pointer('parallel', 'pointerup', x, axisY(.75));
        say('brushed', rows().join());
        document.getElementById('clear').click(); say('cleared', rows().length);
        const dot = dots.find(dot => dot.i === 2);
        pointer('scatter', 'pointermove', dot.x, dot.y); say('tip', document.getElementById('tip').textContent);
        pointer('scatter', 'click', dot.x, dot.y); say('clicked', [...state.selected].join());
        pointer('curves', 'pointermove', drawn[0].places[2][0], drawn[0].places[2][1]); say('curve', document.getElementById('tip').textContent);
    "#;
    let Some(found) = in_browser(&few(), folder.path(), script) else { return };
    let expected = [
        "start=first,</scr,third",
        "marked=0.92,0.29",
        "by loss=</scr,first,third",
        "and back=first,</scr,third",
        "aria=descending",
        "filtered=first",
        "text=third",
        "count=3 of 3 runs",
        "selected=3 of 3 runs, 2 selected",
        "params:training.optimizer:adamw:–:",
        "metrics:val_auc:0.92:0.9:-0.02",
        "all=11",
        "brushed=first",
        "cleared=3",
        "tip=third (22345678)model.dropout: 0.1val_auc: 0.9",
        "clicked=2",
        "curve=first (02345678)step 2: 0.7",
    ];
    for part in expected {
        assert!(found.contains(part), "no `{part}` in\n{}", found.replace(" | ", "\n"));
    }
    assert!(!found.contains("model.dropout:0.1:0.1"), "a diff has only what differs: {found}");
}

#[test]
fn a_thousand_runs_are_no_burden() {
    let page = many(1000);
    println!("page of 1000 runs: {} KB", page.to_html().unwrap().len() / 1000);
    let folder = tempfile::tempdir().unwrap();
    let script = r#"
        const time = work => { const start = performance.now(); work(); return Math.round(performance.now() - start); };
        say('rows', rows().length); say('page', document.getElementById('page').textContent);
        say('all views, ms', time(update));
        say('sort, ms', time(() => head('metric_3').click()));
        say('filter, ms', time(() => type('filter', 'metric_0 > 0.9')));
        say('left', visible.length);
        say('size', document.documentElement.scrollWidth <= innerWidth);
    "#;
    let Some(found) = in_browser(&page, folder.path(), script) else { return };
    println!("{found}");
    for part in ["rows=100", "page=page 1 of 10", "left=500", "size=true"] {
        assert!(found.contains(part), "no `{part}` in {found}");
    }
}

#[test]
fn one_run_and_no_run_are_pages_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut page = few();
    page.runs.truncate(1);
    page.curves.clear();
    let script = "say('rows', rows().length); say('diff', document.getElementById('diff').textContent);";
    let Some(found) = in_browser(&page, folder.path(), script) else { return };
    assert_eq!(found, "rows=1 | diff=there is one run only");
    page.runs.clear();
    assert!(in_browser(&page, folder.path(), script).unwrap().starts_with("rows=0"));
}

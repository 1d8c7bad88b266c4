//! Tests of documents.

use expect_test::expect;

use super::*;

fn document() -> Document {
    let mut document = Document::new("A <title> & more");
    document.verdict(true, "All is well.");
    document.verdict(false, "One thing is not.");
    document.heading("Numbers");
    document.text("As `loadgen run` prints them.");
    document.table(Table {
        head: vec!["run".to_owned(), "p99".to_owned(), "verdict".to_owned()],
        rows: vec![
            vec!["a|b".into(), "1.20 ms".into(), Cell::bad("broken")],
            vec!["c".into(), Cell::invalid("too few"), "verified".into()],
            vec!["d".into(), "5 ms\n4 ms–6 ms".into(), "verified".into()],
        ],
        note: Some("Of three runs.".to_owned()),
    });
    let picture = |title: &str| Picture {
        title: title.to_owned(),
        svg: format!("<svg viewBox=\"0 0 1 1\"><title>{title}</title></svg>"),
    };
    document.figures(2, vec![picture("Rates, acks=0"), picture("Rates, acks=1")], "rates");
    document.figures(1, vec![picture("Percentiles")], "percentiles");
    document.code("cargo demo");
    document
}

#[test]
fn a_document_is_readable_as_markdown() {
    expect![[r#"
        # A <title> & more

        > All is well.

        > **Attention:** One thing is not.

        ## Numbers

        As `loadgen run` prints them.

        | run | p99 | verdict |
        | --- | ---: | --- |
        | a\|b | 1.20 ms | **broken** |
        | c | *too few* | verified |
        | d | 5 ms (4 ms–6 ms) | verified |

        Of three runs.

        ![Rates, acks=0](pictures/01-rates-acks-0.svg)
        ![Rates, acks=1](pictures/02-rates-acks-1.svg)

        *rates*

        ![Percentiles](pictures/03-percentiles.svg)

        *percentiles*

        ```
        cargo demo
        ```
    "#]]
    .assert_eq(&document().markdown());
}

#[test]
fn a_written_report_has_the_pictures_that_it_links_to() {
    let folder = std::env::temp_dir().join(format!("report-test-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    document().write(&folder).unwrap();
    let text = fs::read_to_string(folder.join("report.md")).unwrap();
    let links: Vec<&str> =
        text.split("](").skip(1).map(|it| it.split_once(')').unwrap().0).collect();
    assert_eq!(links.len(), 3);
    for link in links {
        let svg = fs::read_to_string(folder.join(link)).unwrap();
        assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""), "{svg}");
    }
    assert!(folder.join("report.html").exists());
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_page_needs_nothing_from_outside_and_closes_what_it_opens() {
    let html = document().html();
    assert!(html.contains("<h1>A &lt;title&gt; &amp; more</h1>"));
    assert!(html.contains("<code>loadgen run</code>"));
    assert!(html.contains("<td class=\"bad words\">broken</td>"));
    assert!(html.contains("<td>5 ms<br><small>4 ms–6 ms</small></td>"));
    for outside in ["http://", "https://", "src=", "href=", "@import", "url("] {
        assert!(!html.contains(outside), "{outside}");
    }
    for tag in ["div", "table", "tr", "td", "th", "p", "h2", "pre", "code", "body", "html"] {
        let opened =
            html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn a_long_curve_is_shown_by_means_and_keeps_its_gaps() {
    let few = vec![(0.0, 1.0), (1.0, f64::NAN)];
    assert_eq!(curves::thinned(few).len(), 2);
    let many: Vec<(f64, f64)> = (0..480)
        .map(|n| (f64::from(n), if (100..104).contains(&n) { f64::NAN } else { f64::from(n % 2) }))
        .collect();
    let thin = curves::thinned(many);
    assert_eq!((thin.len(), thin[0]), (240, (0.5, 0.5)));
    assert_eq!(thin.iter().filter(|(_, y)| y.is_nan()).count(), 2);
}

//! Outcomes of cases as JUnit XML, which CI systems read.

use std::fmt::Write;

/// Cases of one policy.
pub struct Suite {
    pub policy: String,
    pub cases: Vec<Outcome>,
}

/// What became of a case.
pub struct Outcome {
    pub name: String,
    /// What it is about.
    pub about: String,
    /// What differed from what was expected.
    pub failure: Option<String>,
}

/// The document.
pub fn junit(suites: &[Suite]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for suite in suites {
        let (all, failed) = (suite.cases.len(), suite.cases.iter().filter(|c| c.failure.is_some()).count());
        let name = escape(&suite.policy);
        // Writing to a string does not fail.
        let _ = writeln!(xml, "  <testsuite name=\"{name}\" tests=\"{all}\" failures=\"{failed}\">");
        for case in &suite.cases {
            let (case_name, about) = (escape(&case.name), escape(&case.about));
            let _ = write!(xml, "    <testcase classname=\"{name}\" name=\"{case_name}: {about}\"");
            let _ = match &case.failure {
                None => writeln!(xml, "/>"),
                Some(failure) => {
                    let text = escape(failure);
                    writeln!(
                        xml,
                        ">\n      <failure message=\"decided otherwise\">{text}</failure>\n    </testcase>"
                    )
                }
            };
        }
        xml.push_str("  </testsuite>\n");
    }
    xml + "</testsuites>\n"
}

/// Text and attribute values; characters that XML cannot hold become question marks.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_cannot_end_an_element() {
        let outcome = |failure: Option<&str>| Outcome {
            name: "deny/a".to_owned(),
            about: "\"quoted\" & <b>".to_owned(),
            failure: failure.map(str::to_owned),
        };
        let cases = vec![outcome(None), outcome(Some("expected <deny>\u{0}"))];
        let xml = junit(&[Suite { policy: "p".to_owned(), cases }]);
        assert!(xml.contains("tests=\"2\" failures=\"1\""), "{xml}");
        assert!(xml.contains("&quot;quoted&quot; &amp; &lt;b&gt;\"/>"), "{xml}");
        assert!(xml.contains("expected &lt;deny&gt;?</failure>"), "{xml}");
    }
}

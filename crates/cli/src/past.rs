//! Past decisions with what they were decided on: from a broker, page by page, or from a file that was exported. Bounded
//! line by line; nothing is kept.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use claims::UnixTime;
use clap::Args;
use policy::case::{CaseError, Decision};
use wire::admin::{DecisionPage, MissingDecisions};

use crate::admin::{Admin, AdminError};

/// Which decisions.
#[derive(Clone, Copy, Debug, Args)]
pub struct Span {
    /// From this time on: 2026-11-22, 2026-11-22T09:30:00Z, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<UnixTime>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<UnixTime>,
}

/// Why past decisions cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PastError {
    /// The broker does not tell them.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is no decision.
    #[error("line {line} of `{}` is no decision: {}; export with `keyfast audit decisions`", path.display(), bare(.source))]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Why.
        source: CaseError,
    },
    /// What the broker tells is no decision.
    #[error("the broker tells what is no decision: {}; are broker and keyfast of one version?", bare(.0))]
    Told(CaseError),
}

/// A time on the command line.
pub fn time(text: &str) -> Result<UnixTime, String> {
    let expected = "expected 2026-11-22 or 2026-11-22T09:30:00Z";
    UnixTime::parse(text).ok_or_else(|| expected.to_owned())
}

/// The error without the word for a whole case.
fn bare(error: &CaseError) -> String {
    match error {
        CaseError::Malformed { message } => message.clone(),
        other => other.to_string(),
    }
}

impl From<UnixTime> for Span {
    /// From then on.
    fn from(since: UnixTime) -> Self {
        Self { since: Some(since), until: None }
    }
}

impl Span {
    /// Whether a time is in it.
    pub fn has(&self, at: UnixTime) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }

    fn query(&self) -> String {
        let Self { since, until } = self;
        let part = |name, time: &Option<UnixTime>| time.map(|time| format!("&{name}={}", time.0));
        [part("since", since), part("until", until)].into_iter().flatten().collect()
    }
}

/// Hands over every decision that a broker keeps of this span, in order of time; what there is no telling of is counted.
///
/// # Errors
/// [`PastError`], or what `each` gives.
pub fn of_broker<E: From<PastError>>(
    admin: &Admin,
    span: Span,
    mut each: impl FnMut(Decision) -> Result<(), E>,
) -> Result<MissingDecisions, E> {
    let (mut after, mut missing) = (None, None);
    loop {
        let behind = after.map(|after| format!("&after={after}")).unwrap_or_default();
        let query = format!("{}{behind}", span.query());
        let path = format!("/admin/v1/decisions?{}", query.trim_start_matches('&'));
        let page: DecisionPage = admin.fetch(&path).map_err(PastError::from)?;
        for decision in told(page.decisions) {
            each(decision?)?;
        }
        missing = missing.or(page.missing);
        after = page.next;
        if after.is_none() {
            return Ok(missing.unwrap_or(MissingDecisions { refused: 0, without_claims: 0 }));
        }
    }
}

/// The decisions of one request.
///
/// # Errors
/// [`PastError`].
pub fn of_request(admin: &Admin, request: claims::RequestId) -> Result<Vec<Decision>, PastError> {
    let page: DecisionPage = admin.fetch(&format!("/admin/v1/decisions/{request}"))?;
    told(page.decisions).collect()
}

fn told(values: Vec<serde_json::Value>) -> impl Iterator<Item = Result<Decision, PastError>> {
    values.into_iter().map(|value| {
        let malformed = |e: serde_json::Error| CaseError::Malformed { message: e.to_string() };
        serde_json::from_value(value).map_err(|error| PastError::Told(malformed(error)))
    })
}

/// Hands over every decision of a file, a line each; empty lines are passed over.
///
/// # Errors
/// [`PastError`], or what `each` gives.
pub fn of_file<E: From<PastError>>(
    path: &Path,
    mut each: impl FnMut(usize, Decision) -> Result<(), E>,
) -> Result<(), E> {
    let failed = |source| PastError::Read { path: path.to_owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    for line in 1_usize.. {
        let mut bytes = Vec::new();
        let most = u64::try_from(Decision::MAX_LINE).unwrap_or(u64::MAX).saturating_add(2);
        if file.by_ref().take(most).read_until(b'\n', &mut bytes).map_err(failed)? == 0 {
            break;
        }
        let wrong = |source| PastError::Line { path: path.to_owned(), line, source };
        let text = String::from_utf8(bytes);
        let text = text.map_err(|_| wrong(CaseError::Malformed { message: "not UTF-8".to_owned() }))?;
        if !text.trim().is_empty() {
            each(line, Decision::parse(text.trim_end()).map_err(wrong)?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<usize, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d");
        std::fs::write(&path, text).unwrap();
        let mut count = 0;
        let each = |_, _| {
            count += 1;
            Ok::<(), PastError>(())
        };
        let read = of_file(&path, each).map_err(|e| e.to_string().replace(&path.display().to_string(), "d"));
        read.map(|()| count)
    }

    #[test]
    fn a_line_that_is_too_long_or_no_text_is_named() {
        assert_eq!(read(b"\n\n"), Ok(0));
        let export = "; export with `keyfast audit decisions`";
        let long = vec![b'x'; Decision::MAX_LINE + 9];
        let expected = "too long: expected at most 1048576 bytes, got 1048578";
        assert_eq!(read(&long).unwrap_err(), format!("line 1 of `d` is no decision: {expected}{export}"));
        assert_eq!(
            read(b"\n\xff\n").unwrap_err(),
            format!("line 2 of `d` is no decision: not UTF-8{export}")
        );
    }

    #[test]
    fn a_span_begins_with_its_first_second_and_ends_before_its_last() {
        let span = Span { since: Some(UnixTime(5)), until: Some(UnixTime(7)) };
        assert_eq!([4, 5, 6, 7].map(|at| span.has(UnixTime(at))), [false, true, true, false]);
        assert_eq!(span.query(), "&since=5&until=7");
        assert_eq!(Span { since: None, until: None }.query(), "");
    }
}

//! Why no source gave a certificate that verifies: each source that was asked, and what came of it.

use core::fmt;
use std::sync::Arc;
use std::time::Duration;

use transport::ClientError;

use crate::{CertificatesError, DirectoryError};

/// No source has the endorsement, or none gave one that verifies.
#[derive(Clone, Debug)]
pub struct FindError {
    /// What was looked for.
    pub wanted: String,
    /// Each source with what came of it, in the order in which they were asked.
    pub failures: Vec<(String, Failure)>,
}

/// What came of one source.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The source does not know of it.
    #[error("has none")]
    Absent,
    /// A file cannot be read.
    #[error(transparent)]
    File(Arc<DirectoryError>),
    /// No answer.
    #[error(transparent)]
    NoAnswer(Arc<ClientError>),
    /// No answer in the time that a caller has; retries count.
    #[error("no answer within {limit:?}")]
    TooSlow {
        /// What all attempts together may take.
        limit: Duration,
    },
    /// The service is busy, and asks to be left alone for a while.
    #[error("busy (status {status}); asks to wait {} s", wait.as_secs())]
    Busy {
        /// The HTTP status, 429 or 5xx.
        status: u16,
        /// How long.
        wait: Duration,
    },
    /// Not asked, because of what it answered shortly before.
    #[error("asked not to be asked for another {} s", wait.as_secs())]
    LeftAlone {
        /// How long.
        wait: Duration,
    },
    /// An answer that makes no sense.
    #[error("unexpected status {status}")]
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// An answer without certificates.
    #[error(transparent)]
    Contents(#[from] CertificatesError),
    /// An answer that is not the document which such a service gives.
    #[error("unexpected answer: {0}")]
    Document(&'static str),
    /// Nobody was asked, because so many callers wait for answers.
    #[error("not asked, as {limit} callers wait for answers already")]
    Crowded {
        /// Most callers that may wait.
        limit: usize,
    },
    /// Nobody was asked, because so much was asked within the last minute.
    #[error("not asked, as {per_minute} look-ups a minute are the most; the next in {} s", wait.as_secs())]
    TooOften {
        /// Most look-ups a minute.
        per_minute: u32,
        /// How long until there may be another.
        wait: Duration,
    },
    /// Certificates that do not verify, or are of another key.
    #[error("gave what does not verify: {0}")]
    Refused(String),
}

impl Failure {
    /// How long to wait before the source may have another answer; `None` if nothing says that it ever will.
    fn wait(&self) -> Option<Duration> {
        match self {
            Self::Busy { wait, .. } | Self::LeftAlone { wait } | Self::TooOften { wait, .. } => Some(*wait),
            Self::NoAnswer(_)
            | Self::TooSlow { .. }
            | Self::Status { status: 500.. }
            | Self::Crowded { .. } => Some(SOON),
            _ => None,
        }
    }
}

impl FindError {
    /// Whether every source said that there is no such thing.
    pub fn is_absent(&self) -> bool {
        self.failures.iter().all(|(_, failure)| matches!(failure, Failure::Absent))
    }

    /// Whether no service was asked, so that nothing is known.
    pub(crate) fn is_unasked(&self) -> bool {
        let unasked =
            |failure: &Failure| matches!(failure, Failure::Crowded { .. } | Failure::TooOften { .. });
        self.failures.iter().any(|(_, failure)| unasked(failure))
    }

    /// When it is worth asking again; `None` if every source gave an answer that will stay.
    pub fn retry_after(&self) -> Option<Duration> {
        self.failures.iter().filter_map(|(_, failure)| failure.wait()).min()
    }
}

impl fmt::Display for FindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no source gave {}", self.wanted)?;
        if self.failures.is_empty() {
            f.write_str(": none is configured")?;
        }
        for (i, (source, failure)) in self.failures.iter().enumerate() {
            write!(f, "{} {source}: {failure}", if i == 0 { ";" } else { "," })?;
        }
        Ok(())
    }
}

impl core::error::Error for FindError {}

/// After a failure that names no time.
const SOON: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_which_source_failed_and_how() {
        let error = FindError {
            wanted: "the VCEK".to_owned(),
            failures: vec![
                ("`certs`".to_owned(), Failure::Absent),
                (
                    "https://kds.example".to_owned(),
                    Failure::Busy { status: 429, wait: Duration::from_secs(10) },
                ),
            ],
        };
        let said = "no source gave the VCEK; `certs`: has none, https://kds.example: busy (status 429); asks to wait 10 s";
        assert_eq!(error.to_string(), said);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(10)));
    }

    #[test]
    fn an_answer_that_will_stay_is_not_worth_waiting_for() {
        let error = |failure| FindError { wanted: String::new(), failures: vec![(String::new(), failure)] };
        assert_eq!(error(Failure::Absent).retry_after(), None);
        assert_eq!(error(Failure::Refused(String::new())).retry_after(), None);
        assert_eq!(error(Failure::Status { status: 403 }).retry_after(), None);
        assert!(error(Failure::Status { status: 500 }).retry_after().is_some());
        assert!(error(Failure::TooSlow { limit: Duration::ZERO }).retry_after().is_some());
    }
}

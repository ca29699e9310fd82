//! One challenge is answered by one piece of evidence.

use way::*;

use claims::{Transcript, UnixTime};
use verify::challenge::Challenge;
use verify::{Authenticated, VerifiedClaims, VerifyError};

fn both(
    [first, second]: [Authenticated; 2],
    challenge: Challenge,
    transcript: &Transcript,
    now: UnixTime,
) -> Result<[VerifiedClaims; 2], VerifyError> {
    let first = first.bind(challenge, transcript, now)?;
    let second = second.bind(challenge, transcript, now)?;
    Ok([first, second])
}

fn main() {}

//! `keyfast evidence verify`: every check by its number, with what was compared, and then the verdict.
//!
//! The verdict is [`verify::authenticate`]'s, the one that the broker acts on; the checks are
//! [`verify::examine`]'s, which goes on after the first that fails. The two never decide for each other.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use claims::UnixTime;
use claims::snp::SnpClaims;
use evidence::EvidenceError;
use evidence::snp::ReportError;
use serde_json::{Value, json};
use verify::{
    Authenticated, Check, CrlPolicy, Endorsements, Finding, Outcome, TrustAnchors, authenticate, examine,
};

use super::files::{add_simulated_root, read_certificates, read_crl, read_evidence};
use super::style::{Style, Tone, wrap};
use super::{Failure, VerifyArgs};

/// Runs the command.
///
/// # Errors
/// [`Failure`]; its exit code says whether the evidence is to blame. What was found is printed before.
pub fn run(args: &VerifyArgs, style: Style, out: &mut dyn Write) -> Result<(), Failure> {
    let now = args.at.map_or_else(clock, Ok)?;
    let evidence = match read_evidence(&args.file, args.kind)? {
        Ok(evidence) => evidence,
        Err(error) => {
            print(args, style, now, &malformed(&error), Err(error.to_string()), out)?;
            return Err(error.into());
        }
    };
    let mut endorsements = Endorsements::from_evidence(&evidence);
    if let Some(directory) = &args.certs {
        endorsements = endorsements.merge(read_certificates(directory)?)?;
    }
    let lists: Vec<Vec<u8>> = args.crl.iter().map(|path| read_crl(path)).collect::<Result<_, _>>()?;
    let endorsements = endorsements.with_crls(lists)?;
    let anchors = anchors(args)?;
    // Evidence without a report has no numbered checks; the verdict is all there is.
    let findings = examine(&evidence, &endorsements, &anchors, now).unwrap_or_default();
    let rows: Vec<Row> = findings.into_iter().map(Row::from).collect();
    let verdict = authenticate(evidence, &endorsements, &anchors, now);
    let said = verdict.as_ref().map_err(ToString::to_string);
    print(args, style, now, &rows, said, out)?;
    verdict?;
    Ok(())
}

fn anchors(args: &VerifyArgs) -> Result<TrustAnchors, Failure> {
    let mut anchors = TrustAnchors::amd();
    if let Some(path) = &args.simulated_root {
        anchors = add_simulated_root(anchors, path)?;
    }
    if let Some(days) = args.require_crl {
        anchors = anchors.with_crl_policy(CrlPolicy::Required { max_age_s: days.saturating_mul(DAY) });
    }
    Ok(if args.accept_version_4 { anchors.with_report_version_4() } else { anchors })
}

/// A check as it is shown.
struct Row {
    check: Check,
    tone: Tone,
    /// `pass`, `FAIL`, `policy`, or `-` where the check was not made.
    outcome: &'static str,
    error: Option<String>,
    compared: Vec<String>,
}

impl From<Finding> for Row {
    fn from(Finding { check, outcome, compared }: Finding) -> Self {
        let (tone, word, error) = match outcome {
            Outcome::Passed => (Tone::Good, "pass", None),
            Outcome::Failed(error) => (Tone::Bad, "FAIL", Some(error.to_string())),
            Outcome::NotMade => (Tone::Aside, "-", None),
            Outcome::ForPolicy => (Tone::Open, "policy", None),
        };
        Self { check, tone, outcome: word, error, compared }
    }
}

/// The rows for bytes that are no evidence: parsing makes check 1 and most of 2, and nothing else is made.
fn malformed(error: &EvidenceError) -> Vec<Row> {
    let failed = match error {
        EvidenceError::Report(
            ReportError::Reserved { .. }
            | ReportError::PolicyBit17 { .. }
            | ReportError::PolicyReserved { .. }
            | ReportError::KeyInfoReserved { .. },
        ) => Check::Reserved,
        _ => Check::Layout,
    };
    let row = |check| {
        let (tone, outcome) = if check == failed { (Tone::Bad, "FAIL") } else { (Tone::Aside, "-") };
        let error = (check == failed).then(|| error.to_string());
        Row { check, tone, outcome, error, compared: Vec::new() }
    };
    Check::ALL.into_iter().map(row).collect()
}

fn print(
    args: &VerifyArgs,
    style: Style,
    now: UnixTime,
    rows: &[Row],
    verdict: Result<&Authenticated, String>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if args.json {
        writeln!(out, "{:#}", json(now, rows, &verdict))?;
        return Ok(());
    }
    for row in rows {
        print_row(row, style, out)?;
    }
    if let Ok(authenticated) = verdict {
        print_authenticated(authenticated, now, style, out)?;
    }
    Ok(())
}

/// Number, title, outcome, what is wrong and what was compared, within 100 columns.
fn print_row(row: &Row, style: Style, out: &mut dyn Write) -> Result<(), Failure> {
    let (number, title) = (row.check.number(), row.check.title());
    let outcome = style.paint(row.tone, &format!("{:<6}", row.outcome));
    let mut head = format!("{number:>2}  {title:<22}  {outcome}");
    let mut lines: Vec<String> =
        row.error.iter().chain(&row.compared).flat_map(|text| wrap(text, TEXT_COLUMNS)).collect();
    if lines.is_empty() {
        lines.push("not made: it rests on what failed".to_owned());
    }
    for line in lines {
        writeln!(out, "{head}  {line}")?;
        head = " ".repeat(HEAD_COLUMNS);
    }
    Ok(())
}

fn print_authenticated(
    authenticated: &Authenticated,
    now: UnixTime,
    style: Style,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let root = if authenticated.simulated() { "a simulated root" } else { "AMD's root" };
    let verdict = style.paint(Tone::Good, "authenticated");
    match authenticated.snp() {
        Some(snp) => writeln!(out, "\n{verdict}: {} at {now}, under {root}", snp.product)?,
        None => writeln!(out, "\n{verdict}: {} at {now}", authenticated.evidence())?,
    }
    if let Some(snp) = authenticated.snp() {
        writeln!(out, "  measurement\n    {}", snp.measurement)?;
        writeln!(out, "  reported tcb    {}", snp.reported_tcb)?;
        let (tone, debugging) =
            if snp.policy.debug_allowed() { (Tone::Bad, "allowed") } else { (Tone::Good, "not allowed") };
        writeln!(out, "  debugging       {}", style.paint(tone, debugging))?;
        for (index, line) in snp.csp_id.iter().flat_map(|csp_id| wrap(csp_id, TEXT_COLUMNS)).enumerate() {
            writeln!(out, "  {:<14}  {line}", if index == 0 { "provider" } else { "" })?;
        }
    }
    if let Some(tpm) = authenticated.tpm() {
        writeln!(out, "  tpm key         {}", tpm.ak_binding.name())?;
        let indices: Vec<_> = tpm.pcrs.keys().map(u8::to_string).collect();
        writeln!(out, "  pcrs            {}: {}", tpm.bank, indices.join(", "))?;
    }
    writeln!(out, "  os binding      {}", authenticated.os_binding().name())?;
    writeln!(out, "  guest identity  {}", authenticated.guest_identity().name())?;
    writeln!(out, "  certificates    valid until {}", authenticated.not_after())?;
    let aside = "Genuine says nothing of fresh or wanted: a broker also checks its challenge and its policy.";
    writeln!(out, "\n{}", style.paint(Tone::Aside, aside))?;
    Ok(())
}

fn json(now: UnixTime, rows: &[Row], verdict: &Result<&Authenticated, String>) -> Value {
    let checks = rows.iter().map(|row| {
        json!({
            "number": row.check.number(),
            "title": row.check.title(),
            "outcome": if row.outcome == "-" { "not-made".to_owned() } else { row.outcome.to_lowercase() },
            "error": row.error,
            "compared": row.compared,
        })
    });
    json!({
        "authenticated": verdict.is_ok(),
        "at": now.to_string(),
        "error": verdict.as_ref().err(),
        "checks": checks.collect::<Vec<Value>>(),
        "claims": verdict.as_ref().ok().map(|authenticated| claims_json(authenticated)),
    })
}

fn claims_json(authenticated: &Authenticated) -> Value {
    let snp = authenticated.snp();
    let tpm = authenticated.tpm();
    json!({
        "evidence": authenticated.evidence().name(),
        "simulated": authenticated.simulated(),
        "os_binding": authenticated.os_binding().name(),
        "guest_identity": authenticated.guest_identity().name(),
        "product": snp.map(|snp| snp.product.name()),
        "measurement": snp.map(|snp| snp.measurement.to_string()),
        "reported_tcb": snp.map(|snp| snp.reported_tcb.to_string()),
        "debug_allowed": snp.map(|snp| snp.policy.debug_allowed()),
        "provisional_firmware": snp.map(SnpClaims::is_provisional),
        "signing_key": snp.map(|snp| snp.signing_key.name()),
        "chip_id": snp.and_then(|snp| snp.chip_id).map(|chip| chip.to_string()),
        "csp_id": snp.and_then(|snp| snp.csp_id.clone()),
        "crl_issued": snp.and_then(|snp| snp.crl_issued).map(|time| time.to_string()),
        "ak_binding": tpm.map(|tpm| tpm.ak_binding.name()),
        "pcrs": tpm.map(|tpm| tpm.pcrs.keys().collect::<Vec<_>>()),
        "not_after": authenticated.not_after().to_string(),
    })
}

fn clock() -> Result<UnixTime, Failure> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map(|since| UnixTime(since.as_secs())).map_err(|_| Failure::Clock)
}

const DAY: u64 = 86_400;
/// Columns in front of the text: number, title, outcome and the gaps between them.
const HEAD_COLUMNS: usize = 34;
const TEXT_COLUMNS: usize = 64;

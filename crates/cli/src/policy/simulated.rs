//! Cases in TOML: a simulated guest in a few lines, which a simulated host launches and the verifier reads.
//!
//! So a case can be written without knowing every claim, and holds what evidence of such a guest really comes to. For
//! genuine guests there are cases with their evidence (`from_file`), and in JSON. What is left out is as in
//! [`GuestCase`], [`KeyCase`] and [`RequestCase`].
//!
//! ```toml
//! about = "the host may debug the guest"
//!
//! [guest]
//! kind = "sev-snp"
//! debug = true
//!
//! [expect.deny]
//! code = "policy-denied"
//! reasons = [
//!     { rule = "simulated-development/no-debug", condition = "principal.snp.policy.debug_allowed" },
//! ]
//! ```
//!
//! Nothing here may reach a broker: the host's keys live as long as the process, and nobody else trusts them.

use std::fmt::Display;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use claims::snp::Product;
use claims::tpm::ObjectName;
use claims::{
    AttestedRequest, BrokerId, ClaimsRecord, ConfigDigest, EvidenceKind, KeyAttributes, KeyId, KeyKind,
    KeyVersion, Nonce, Operation, RecipientKey, ReleasePolicy, ReportData, Sha256Digest, Suite, Transcript,
    UnixTime, UnwrapAlgorithm, UnwrapBinding, VersionSelector,
};
use evidence::Evidence;
use evidence::tpm::Public;
use policy::case::{Case, CaseError};
use simtee::control::{GuestRequest, VtpmChange};
use simtee::vtpm::VTpm;
use simtee::vtpm::guest::{Platform, VtpmSpec};
use simtee::{GuestSpec, HostKeys, SimError, SimHost, answer_to};
use verify::challenge::ChallengeKey;
use verify::tpm::name_of;
use verify::{Endorsements, EnrolledKey, EnrolledKeys, Enrolment, TrustAnchors, authenticate_enrolled};

use file::{Enrolled, File, GuestCase, KeyCase, RequestCase};

mod description;
mod family;
pub mod file;
mod from_file;

pub use description::Description;
pub(in crate::policy) use description::{key_lines, quoted};
pub use family::{Family, Root, families};
pub use from_file::{Asked, guest_of_evidence};

/// Reads a case of this folder, launches its guest if it is a simulated one, and has its evidence verified.
///
/// # Errors
/// [`CaseError`]: no case, with its line and column, or a guest that no evidence verifies of.
pub fn parse(text: &str, folder: &Path) -> Result<Case, CaseError> {
    if text.len() > MAX_TEXT {
        return Err(malformed(format!("expected at most {MAX_TEXT} bytes, got {}", text.len())));
    }
    let File { about, now, context, guest, evidence, verify, request, key, expect } =
        toml::from_str(text).map_err(|error| malformed(error.to_string().trim_end().to_owned()))?;
    let request = request.attested().map_err(malformed)?;
    let record = match (evidence, guest, verify) {
        (None, guest, None) => guest.unwrap_or_default().launch(&request, now),
        (Some(file), None, verify) => from_file::record(folder, &file, verify.unwrap_or_default(), now),
        (None, _, Some(_)) => {
            Err("`verify` is about the evidence of a file, and `evidence` is not there".to_owned())
        }
        (Some(_), Some(_), _) => Err("`guest` is a simulated one; leave out it or `evidence`".to_owned()),
    };
    let record = record.map_err(|why| malformed(format!("no such guest: {why}")))?;
    let key = key.attributes(&request);
    Ok(Case { about, circumstances: context.at(now), record, request, key, expect })
}

/// What a case asks of a simulated host: the guest, to be launched under this name with what the case says of it, the
/// product that the host must be, and the suite of its agent.
///
/// # Errors
/// [`CaseError`]: no case, with its line and column.
pub fn launch_request(text: &str, name: KeyId) -> Result<(GuestRequest, Product, Suite), CaseError> {
    if text.len() > MAX_TEXT {
        return Err(malformed(format!("expected at most {MAX_TEXT} bytes, got {}", text.len())));
    }
    let File { guest, evidence, .. } =
        toml::from_str(text).map_err(|error| malformed(error.to_string().trim_end().to_owned()))?;
    if evidence.is_some() {
        return Err(malformed("its guest is evidence in a file, which nobody launches".to_owned()));
    }
    let guest = guest.unwrap_or_default();
    let vtpm = guest.vtpm().map_err(|why| malformed(format!("no such guest: {why}")))?.map(|_| VtpmChange {
        image: guest.image.clone(),
        secure_boot: guest.secure_boot,
        command_line: guest.command_line.clone(),
        extend: guest.extend.clone(),
        without_log: guest.without_log,
    });
    let spec = guest.spec();
    let request = GuestRequest {
        kind: guest.kind,
        vtpm,
        debug: guest.debug,
        migration_agent: guest.migration_agent,
        tcb: guest.tcb,
        measurement: Some(spec.measurement.0),
        host_data: Some(spec.host_data),
        id_key_digest: Some(spec.id_key_digest),
        author_key_digest: spec.author_key_digest,
        mitigations: Some(spec.current_mit_vector),
        csp_id: spec.csp_id,
        vmpl: Some(spec.vmpl),
        version: Some(spec.version),
        ..GuestRequest::new(name)
    };
    Ok((request, guest.product, guest.suite))
}

fn malformed(message: String) -> CaseError {
    CaseError::Malformed { message }
}

impl RequestCase {
    fn attested(self) -> Result<AttestedRequest, String> {
        let key = self.key.map_or_else(|| "db".parse::<KeyId>().map_err(text), Ok)?;
        // Which DEK, no policy reads.
        let unwrap = (self.operation == Operation::Unwrap).then_some(UnwrapBinding {
            algorithm: UnwrapAlgorithm::RsaOaep256,
            wrapped: Sha256Digest([0; 32]),
            context: Sha256Digest([0; 32]),
        });
        let version = self.version.map(|version| VersionSelector::Exact(KeyVersion(version)));
        let version = version.unwrap_or(VersionSelector::Latest);
        Ok(AttestedRequest { operation: self.operation, key, version, unwrap })
    }
}

impl KeyCase {
    pub fn attributes(self, request: &AttestedRequest) -> KeyAttributes {
        let usual = if request.operation == Operation::Secret {
            KeyKind::Secret
        } else {
            KeyKind::Rsa { bits: 3072 }
        };
        let kind = self.kind.unwrap_or(usual);
        let able: &[Operation] = match kind {
            KeyKind::Secret => &[Operation::Secret],
            KeyKind::Rsa { .. } | KeyKind::Aes256 => &[Operation::Unwrap, Operation::Release],
        };
        let own = |cedar: String| ReleasePolicy { cedar: cedar.into(), immutable: false };
        KeyAttributes {
            id: request.key.clone(),
            version: KeyVersion(self.version),
            kind,
            origin: self.origin,
            operations: self.operations.unwrap_or_else(|| able.iter().copied().collect()),
            for_simulation: self.simulation,
            suite_floor: self.suite_floor,
            enabled: self.enabled,
            revision: 1,
            created_at: self.created_at,
            ring: self.ring,
            region: self.region,
            release_policy: self.policy.map(own),
            tags: self.tags,
            commitment: Sha256Digest([0; 32]),
        }
    }
}

impl GuestCase {
    /// What the verifier makes of this guest's evidence.
    fn launch(&self, request: &AttestedRequest, now: UnixTime) -> Result<ClaimsRecord, String> {
        let host = SimHost::with_keys(host_keys().map_err(text)?, self.product, now).map_err(text)?;
        let transcript = self.transcript(request);
        let answer = answer_to(&transcript);
        let (bytes, enrolled) = self.attest(&host, &answer, now)?;
        let anchors = TrustAnchors::none().with_simulated(host.ark_der(), host.ark_sha256()).map_err(text)?;
        let evidence = Evidence::parse(self.kind, &bytes).map_err(text)?;
        let endorsements = Endorsements::from_evidence(&evidence);
        let authenticated =
            authenticate_enrolled(evidence, &endorsements, &anchors, &enrolled, now, &mut |_, _| ());
        let challenges = ChallengeKey::new(&[0; 32]);
        let token = challenges.issue(transcript.nonce, now, LIFETIME_S);
        let challenge = challenges.open(token.as_bytes(), now).map_err(text)?;
        let claims = authenticated.map_err(text)?.bind(challenge, &transcript, now).map_err(text)?;
        Ok(claims.record().clone())
    }

    /// Evidence over these bytes, and the key that a broker would have enrolled for it.
    fn attest(
        &self,
        host: &SimHost,
        answer: &ReportData,
        now: UnixTime,
    ) -> Result<(Vec<u8>, OneKey), String> {
        let spec = self.spec();
        let Some(vtpm) = self.vtpm()? else {
            return Ok((host.attest(&spec, answer).map_err(text)?, OneKey(None)));
        };
        let guest = host.launch_with_vtpm(&spec, &self.vm_id, VTpm::generate().map_err(text)?, &vtpm);
        let guest = guest.map_err(text)?;
        let keys = guest.keys().map_err(text)?;
        let name = |sized: &[u8]| Public::parse_sized(sized).map(|public| name_of(&public)).map_err(text);
        let (ak, ek, not_after) = (name(&keys.ak)?, name(&keys.ek)?, now.plus(LIFETIME_S));
        let known = self.enrolment().map(|enrolment| {
            (ak, EnrolledKey { enrolment, ek: Some(ek), qualified_name: None, simulated: true, not_after })
        });
        Ok((guest.attest(answer).map_err(text)?, OneKey(known)))
    }

    /// How its vTPM's key came to be believed, where it must be enrolled.
    fn enrolment(&self) -> Option<Enrolment> {
        match (self.kind, self.enrolled) {
            (EvidenceKind::SevSnp | EvidenceKind::AzureVtpm, _) | (_, Enrolled::No) => None,
            (EvidenceKind::Svsm, _) => Some(Enrolment::Activated),
            (EvidenceKind::Tpm, Enrolled::EkCertificate) => Some(Enrolment::EkCertificate),
            (EvidenceKind::Tpm, Enrolled::Operator) => Some(Enrolment::Operator),
        }
    }

    fn spec(&self) -> GuestSpec {
        let usual = GuestSpec::new(self.product, &self.name).debug(self.debug);
        let usual = match &self.provider {
            Some(provider) => usual.at_provider(provider),
            None => usual,
        };
        let measurement = match self.kind {
            EvidenceKind::SevSnp | EvidenceKind::Tpm => GuestSpec::default_measurement(),
            EvidenceKind::AzureVtpm => GuestSpec::default_paravisor(),
            EvidenceKind::Svsm => GuestSpec::default_service_module(),
        };
        let tcb = self.tcb.applied_to(usual.reported_tcb);
        let mitigations = self.mitigations.unwrap_or(usual.current_mit_vector);
        GuestSpec {
            measurement: self.measurement.unwrap_or(measurement),
            host_data: self.host_data.map_or(usual.host_data, |digest| digest.0),
            id_key_digest: self.id_key.map_or(usual.id_key_digest, |digest| digest.0),
            author_key_digest: self.author_key.map(|digest| digest.0),
            vmpl: self.vmpl.unwrap_or(usual.vmpl),
            version: self.version.unwrap_or(usual.version),
            launch_mit_vector: mitigations,
            current_mit_vector: mitigations,
            ..usual.migration_agent(self.migration_agent).tcb(tcb)
        }
    }

    fn vtpm(&self) -> Result<Option<VtpmSpec>, String> {
        let Some(platform) = Platform::of(self.kind) else {
            let Self { image, secure_boot, command_line, extend, without_log, .. } = self;
            let told = image.is_some() || secure_boot.is_some() || command_line.is_some() || *without_log;
            let told = told || !extend.is_empty();
            return if told { Err(format!("a guest of kind {} has no vTPM", self.kind)) } else { Ok(None) };
        };
        let mut spec = VtpmSpec::new(platform, self.image.as_deref().unwrap_or(IMAGE));
        if let Some(on) = self.secure_boot {
            spec.boot.secure_boot = vec![on.into()];
        }
        if let Some(line) = &self.command_line {
            spec.boot.command_line.clone_from(line);
        }
        spec.extend = self.extend.iter().map(|one| (one.pcr, one.digest)).collect();
        spec.with_log = !self.without_log;
        Ok(Some(spec))
    }

    fn transcript(&self, request: &AttestedRequest) -> Transcript {
        let public = vec![0; self.suite.public_key_len()];
        Transcript {
            broker: BrokerId([0; 32]),
            nonce: Nonce([0; 32]),
            recipient: RecipientKey { suite: self.suite, public },
            evidence: self.kind,
            config: ConfigDigest(self.config.0),
            requests: vec![request.clone()],
        }
    }
}

/// The table with the guest's own key, or nothing.
struct OneKey(Option<(ObjectName, EnrolledKey)>);

impl EnrolledKeys for OneKey {
    fn find(&self, ak: &ObjectName) -> Option<EnrolledKey> {
        self.0.as_ref().filter(|(name, _)| name == ak).map(|(_, known)| known.clone())
    }
}

/// Keys of the simulated host: made once, since that takes seconds, or kept from an earlier run.
fn host_keys() -> Result<Arc<HostKeys>, SimError> {
    static KEYS: Mutex<Option<Arc<HostKeys>>> = Mutex::new(None);
    let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(keys) = &*keys {
        return Ok(Arc::clone(keys));
    }
    let made = Arc::new(HostKeys::generate_or_kept()?);
    Ok(Arc::clone(keys.insert(made)))
}

fn text(error: impl Display) -> String {
    error.to_string()
}

/// What vTPMs boot unless told otherwise, as for `keyfast dev guest`.
const IMAGE: &str = "simulated guest image 1";
/// Seconds that challenges and enrolled keys last.
const LIFETIME_S: u64 = 60;
/// Most bytes of a case.
const MAX_TEXT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use claims::{GuestIdentity, OsBinding};
    use policy::case::Expect;

    use super::*;

    const SIMPLEST: &str = "about = 'a guest'\n[expect]\npermit = ['rule']\n";

    fn parse(text: &str) -> Result<Case, CaseError> {
        super::parse(text, Path::new(""))
    }

    fn parsed(more: &str) -> Case {
        parse(&format!("{SIMPLEST}{more}")).unwrap_or_else(|error| panic!("{error}"))
    }

    fn error(more: &str) -> String {
        parse(&format!("{SIMPLEST}{more}")).unwrap_err().to_string()
    }

    #[test]
    fn what_is_left_out_is_as_it_is_documented() {
        let case = parsed("");
        let Case { about, record, request, key, expect, circumstances } = &case;
        assert_eq!((&about[..], expect), ("a guest", &Expect::Permit(vec!["rule".to_owned()])));
        assert!(record.simulated && record.snp_fresh && record.tpm.is_none());
        let snp = record.snp.as_ref().unwrap();
        assert_eq!(snp.measurement, GuestSpec::default_measurement());
        assert_eq!(record.guest_identity, GuestIdentity::HostData);
        assert_eq!(
            (snp.vmpl, snp.policy.debug_allowed(), snp.policy.migrate_ma_allowed()),
            (0, false, false)
        );
        assert_eq!((request.operation, request.key.as_str()), (Operation::Unwrap, "db"));
        assert_eq!((key.kind, key.for_simulation, key.enabled), (KeyKind::Rsa { bits: 3072 }, true, true));
        assert_eq!(key.operations, BTreeSet::from([Operation::Unwrap, Operation::Release]));
        assert_eq!(circumstances.now.to_string(), "2026-11-22T09:30:00Z");
        assert_eq!(key.created_at.to_string(), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn a_guest_is_as_it_is_told() {
        let digits = "ab".repeat(48);
        let record = parsed(&format!(
            "[guest]\ndebug = true\nmigration_agent = true\nvmpl = 2\nmeasurement = '{digits}'\n\
             host_data = '{half}'\nid_key = '{digits}'\nmitigations = [0, 5]\ntcb = {{ snp = 3 }}\n\
             provider = 'CN=p'\nproduct = 'Turin'\nsuite = 'p384'\nconfig = '{half}'\n",
            half = "cd".repeat(32),
        ))
        .record;
        let snp = record.snp.unwrap();
        assert!(snp.policy.debug_allowed() && snp.policy.migrate_ma_allowed());
        assert_eq!((snp.vmpl, snp.measurement.to_string(), snp.host_data), (2, digits, [0xcd; 32]));
        assert_eq!((snp.id_key_digest, record.guest_identity), (Some([0xab; 48]), GuestIdentity::IdKey));
        assert_eq!((snp.current_mit_vector, snp.reported_tcb.snp, snp.launch_tcb.snp), (Some(0x21), 3, 3));
        assert_eq!((snp.csp_id.as_deref(), record.os_binding), (Some("CN=p"), OsBinding::None));
        assert_eq!((snp.product.name(), record.suite.name(), record.config.0), ("Turin", "p384", [0xcd; 32]));
    }

    #[test]
    fn every_kind_of_evidence_is_verified_as_its_own() {
        for (kind, binding, identity) in [
            ("tpm", OsBinding::HostVtpm, GuestIdentity::Enrolled),
            ("azure-vtpm", OsBinding::InTeeVtpm, GuestIdentity::VmId),
            ("svsm", OsBinding::InTeeVtpm, GuestIdentity::HostData),
        ] {
            let record = parsed(&format!("[guest]\nkind = '{kind}'\n")).record;
            assert_eq!((record.evidence.name(), record.os_binding), (kind, binding));
            assert_eq!(record.guest_identity, identity);
            let tpm = record.tpm.unwrap();
            assert_eq!(tpm.boot.unwrap().secure_boot, Some(true), "{kind}");
            let off = parsed(&format!("[guest]\nkind = '{kind}'\nsecure_boot = false\nimage = 'x'\n")).record;
            let off = off.tpm.unwrap();
            assert_eq!(off.boot.unwrap().secure_boot, Some(false), "{kind}");
            assert_ne!(off.pcrs.get(&4), tpm.pcrs.get(&4), "{kind}");
        }
        let operator = parsed("[guest]\nkind = 'tpm'\nenrolled = 'operator'\n").record.tpm.unwrap();
        assert_eq!(operator.ak_binding, claims::tpm::AkBinding::Enrolled);
    }

    /// What a case says of a guest, a host is asked for, and launches.
    #[test]
    fn a_host_is_asked_for_the_guest_of_the_case() {
        let lines = [
            "debug = true",
            "migration_agent = true",
            "tcb.snp = 3",
            "mitigations = [0, 5]",
            "measurement = 'M'",
            "host_data = 'H'",
            "id_key = 'M'",
            "author_key = 'M'",
            "provider = 'CN=p'",
            "vmpl = 2",
            "version = 3",
            "name = 'other'",
        ];
        let launched = |lines: &str| {
            let lines = lines.replace('M', &"ab".repeat(48)).replace('H', &"cd".repeat(32));
            let text = format!("{SIMPLEST}[guest]\nproduct = 'Turin'\n{lines}\n");
            let (request, product, _) = launch_request(&text, "hole".parse().unwrap()).unwrap();
            let guest = toml::from_str::<File>(&text).unwrap().guest;
            let spec = guest.unwrap_or_default().spec();
            let asked = GuestSpec { report_id: spec.report_id, ..request.spec(product) };
            assert_eq!(asked, spec, "{lines}");
            asked
        };
        let usual = launched("");
        for line in lines {
            assert_ne!(launched(line), usual, "{line}");
        }
        let vtpm = format!("{SIMPLEST}[guest]\nkind = 'svsm'\nsecure_boot = false\nsuite = 'p384'\n");
        let (request, product, suite) = launch_request(&vtpm, "hole".parse().unwrap()).unwrap();
        assert_eq!(request.vtpm.unwrap().secure_boot, Some(false));
        assert_eq!((request.kind, product, suite), (EvidenceKind::Svsm, Product::Genoa, Suite::P384));
        let wrong = format!("{SIMPLEST}[guest]\nsecure_boot = true\n");
        let error = launch_request(&wrong, "hole".parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("has no vTPM"), "{error}");
    }

    #[test]
    fn keys_requests_and_circumstances_are_as_they_are_told() {
        let case = parsed(
            "[request]\noperation = 'secret'\nkey = 'token'\nversion = 3\n\
             [key]\nversion = 3\nring = 'a'\nregion = 'r'\nsimulation = false\ntags = { team = 'db' }\n\
             [context]\nevidence_age_s = 7\nnetwork = '192.0.2.7'\n",
        );
        assert_eq!(
            (case.key.id.as_str(), case.key.version, case.key.kind),
            ("token", KeyVersion(3), KeyKind::Secret)
        );
        assert_eq!(case.request.version, VersionSelector::Exact(KeyVersion(3)));
        assert_eq!((case.key.ring.as_str(), case.key.for_simulation), ("a", false));
        assert_eq!(case.key.region.unwrap().as_str(), "r");
        assert_eq!(case.key.tags.get("team").map(String::as_str), Some("db"));
        assert_eq!(case.circumstances.evidence_age_s, 7);
        assert_eq!(case.circumstances.network.unwrap().to_string(), "192.0.2.7");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (more, wanted) in [
            ("[guest]\nmeasurment = ''\n", "line 5, column 1"),
            ("[guest]\nmeasurment = ''\n", "unknown field `measurment`"),
            ("[guest]\n\nhost_data = 'ab'\n", "line 6"),
            ("[guest]\nkind = 'tdx'\n", "line 5"),
            ("[request]\noperation = 'decrypt'\n", "line 5"),
            (
                "[key]\ncreated_at = 'yesterday'\n",
                "expected a time such as 2026-11-22T09:30:00Z, got `yesterday`",
            ),
            ("[guest]\nsecure_boot = true\n", "no such guest: a guest of kind sev-snp has no vTPM"),
            ("[guest]\nkind = 'tpm'\nenrolled = 'no'\n", "no such guest: "),
            ("[guest]\nmitigations = [64]\n", "a bit of a vector is 0 to 63, got 64"),
        ] {
            let told = error(more);
            assert!(told.contains(wanted), "{more}: {told}");
        }
        assert!(parse("about = 'x'\n").unwrap_err().to_string().contains("missing field `expect`"));
        assert!(parse(&" ".repeat(MAX_TEXT + 1)).unwrap_err().to_string().contains("at most 65536 bytes"));
    }

    /// Whole cases with bytes and lines changed, taken away and doubled at random are refused or read.
    #[test]
    fn no_text_makes_it_panic() {
        let whole = format!(
            "{SIMPLEST}[guest]\nkind = 'sev-snp'\nproduct = 'Genoa'\ntcb = {{ snp = 3 }}\nhost_data = '{}'\n\
             mitigations = [0, 1]\nvmpl = 0\nversion = 5\n[key]\ntags = {{ a = 'b' }}\n[context]\nnetwork = '::1'\n",
            "07".repeat(32)
        );
        assert!(parse(&whole).is_ok());
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = |limit: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from(seed % u64::try_from(limit).unwrap()).unwrap()
        };
        let (mut read, mut refused) = (0, 0);
        for _ in 0..60 {
            let mut bytes = whole.clone().into_bytes();
            for _ in 0..=below(2) {
                let at = below(bytes.len());
                match below(3) {
                    0 => bytes[at] = *b"0a'[]{}=,. \n\\9-".get(below(15)).unwrap(),
                    1 => drop(bytes.drain(at..(at + below(9)).min(bytes.len()))),
                    _ => bytes.insert(at, b"0a'[]{}=,. \n\\9-"[below(15)]),
                }
            }
            let counted =
                if parse(&String::from_utf8_lossy(&bytes)).is_ok() { &mut read } else { &mut refused };
            *counted += 1;
        }
        assert!(read > 0 && refused > 15, "{read} were read and {refused} refused");
    }
}

//! The two back ends of `crypto`, side by side.

use crypto::{aws_lc, rust_crypto};

use crate::clock::{Samples, cpu_of};
use crate::report::{Report, micros, times};
use crate::{Cli, Failed};

const MESSAGE: usize = 1024 * 1024;

/// Measures each operation in turn on both, as CPU time of this thread.
pub fn run(cli: &Cli, report: &mut Report) -> Result<(), Failed> {
    report.heading("primitives: aws-lc-rs, which does the work, and RustCrypto, the second opinion");
    let rounds = if cli.quick { 20 } else { 200 };
    gcm(report, rounds)?;
    ecdsa(report, rounds)?;
    let key = aws_lc::RsaPrivateKey::generate(3072)?;
    let sealed = key.public().encrypt_oaep_sha256(&[7; 32])?;
    let alone = samples(rounds, || key.decrypt_oaep_sha256(&sealed).map(drop))?;
    report.plain("RSA-3072 OAEP decrypt, aws-lc-rs alone", micros(alone.median()));
    let pkcs8 = key.pkcs8();
    let parse = samples(rounds, || aws_lc::RsaPrivateKey::from_pkcs8(pkcs8.expose()).map(drop))?;
    report.plain("RSA-3072 from PKCS #8, aws-lc-rs alone", micros(parse.median()));
    Ok(())
}

fn gcm(report: &mut Report, rounds: usize) -> Result<(), Failed> {
    let (ours, theirs) = (aws_lc::Aes256Gcm::new(&[7; 32])?, rust_crypto::Aes256Gcm::new(&[7; 32])?);
    let (mut one, mut other) = (vec![0_u8; MESSAGE], vec![0_u8; MESSAGE]);
    let ours = || ours.seal([1; 12], b"", &mut one).map(drop);
    let theirs = || theirs.seal([1; 12], b"", &mut other).map(drop);
    compare(report, "AES-256-GCM seal, 1 MiB", rounds, ours, theirs)
}

fn ecdsa(report: &mut Report, rounds: usize) -> Result<(), Failed> {
    let key = aws_lc::P384SigningKey::generate()?;
    let (message, point) = ([7; 672], key.public_sec1());
    let signature = key.sign_fixed(&message)?;
    let ours = aws_lc::P384PublicKey::from_sec1(&point)?;
    let theirs = rust_crypto::P384PublicKey::from_sec1(&point)?;
    let ours = || ours.verify_fixed(&message, &signature);
    let theirs = || theirs.verify_fixed(&message, &signature);
    compare(report, "ECDSA P-384 verify, 672 bytes", rounds, ours, theirs)
}

fn compare(
    report: &mut Report,
    what: &str,
    rounds: usize,
    mut ours: impl FnMut() -> Result<(), crypto::Error>,
    mut theirs: impl FnMut() -> Result<(), crypto::Error>,
) -> Result<(), Failed> {
    let (mut a, mut b) = (Samples::default(), Samples::default());
    for _ in 0..rounds {
        a.append(samples(1, &mut ours)?);
        b.append(samples(1, &mut theirs)?);
    }
    report.plain(&format!("{what}, aws-lc-rs"), micros(a.median()));
    report.plain(&format!("{what}, RustCrypto"), micros(b.median()));
    report.plain(&format!("{what}, RustCrypto / aws-lc-rs"), times(b.median_ratio(&a)));
    Ok(())
}

/// CPU seconds of one call, in the mean of four, so many times.
fn samples(
    rounds: usize,
    mut call: impl FnMut() -> Result<(), crypto::Error>,
) -> Result<Samples, crypto::Error> {
    let mut samples = Samples::default();
    for _ in 0..rounds {
        let (seconds, done) = cpu_of(|| (0..4).try_for_each(|_| call()));
        done?;
        samples.push(seconds / 4.0);
    }
    Ok(samples)
}

/// One bare P-384 verification, of a message as long as a report: what no release can do without, and what tells this
/// machine from others.
pub struct BareVerification {
    public: crypto::P384PublicKey,
    message: [u8; 672],
    signature: [u8; 96],
}

impl BareVerification {
    /// With a key and a message of its own.
    pub fn new() -> Result<Self, Failed> {
        let (key, message) = (crypto::P384SigningKey::generate()?, [7; 672]);
        let public = crypto::P384PublicKey::from_sec1(&key.public_sec1())?;
        Ok(Self { public, message, signature: key.sign_fixed(&message)? })
    }

    /// What one takes, in seconds of CPU.
    pub fn seconds(&self) -> Result<f64, Failed> {
        let (seconds, verified) = cpu_of(|| self.public.verify_fixed(&self.message, &self.signature));
        verified?;
        Ok(seconds)
    }
}

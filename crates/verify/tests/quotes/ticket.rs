//! Enrolment in two steps: what a ticket brings back, and what it does not.

use std::sync::Arc;

use claims::UnixTime;
use claims::tpm::ObjectName;
use crypto::EcdhCurve;
use evidence::tpm::Public;
use simtee::vtpm::log::BootSpec;
use simtee::vtpm::{KeyPair, VTpm};
use verify::Enrolment;
use verify::challenge::ChallengeKey;
use verify::tpm::credential::Enrolling;
use verify::tpm::ek::EkRoots;
use verify::tpm::ticket::{Ticket, TicketError};

use crate::azure::host;
use crate::simulated::{boot, booted};
use crate::table::NOW;

fn issued(key: &ChallengeKey) -> (VTpm, Ticket) {
    let vtpm = boot(&BootSpec::new("web"));
    let ticket = ticket(key, &vtpm);
    (vtpm, ticket)
}

fn ticket(key: &ChallengeKey, vtpm: &VTpm) -> Ticket {
    let public = |bytes: Vec<u8>| Public::parse(&bytes).unwrap();
    let (ak, ek) = (public(vtpm.ak_public().unwrap()), public(vtpm.ek_public().unwrap()));
    let enrolling = Enrolling::without_certificate(&ak, &ek).unwrap();
    key.ticket(&enrolling, None, NOW, 60).unwrap()
}

#[test]
fn ticket_and_opened_secret_make_an_activated_key() {
    let key = ChallengeKey::new(&[7; 32]);
    let (vtpm, ticket) = issued(&key);
    assert_eq!((ticket.token.len(), Ticket::MAX_LEN), (32 + 49 + 34 + 34, 213));
    let secret = vtpm.activate(&ticket.credential.blob, &ticket.credential.encrypted_seed).unwrap();
    let activated = key.activated(&ticket.token, &secret, NOW.plus(60)).unwrap();
    let name = |public: &[u8]| ObjectName::from_bytes(&simtee::vtpm::name(public)).unwrap();
    assert_eq!(activated.name(), &name(&vtpm.ak_public().unwrap()));
    let known = activated.key();
    assert_eq!((known.enrolment, known.simulated), (Enrolment::Activated, false));
    assert_eq!(known.ek, Some(name(&vtpm.ek_public().unwrap())));
    assert_eq!(known.not_after, UnixTime(253_402_300_799));
}

#[test]
fn a_ticket_says_who_vouches_for_the_key_and_for_how_long() {
    let key = ChallengeKey::new(&[7; 32]);
    let vtpm = booted();
    let public = |bytes: Vec<u8>| Public::parse(&bytes).unwrap();
    let (ak, ek) = (public(vtpm.ak_public().unwrap()), public(vtpm.ek_public().unwrap()));
    let mut spec = host().ek_spec(vtpm).unwrap();
    spec.not_after = NOW.plus(86_400);
    let certificate = [host().sign(&spec).unwrap()];
    for simulated in [false, true] {
        let roots = EkRoots::default().with_root(host().ek_root_der(), simulated).unwrap();
        let (enrolling, vouched) = Enrolling::check(&ak, &ek, &certificate, &roots, NOW).unwrap();
        let ticket = key.ticket(&enrolling, Some(&vouched), NOW, 60).unwrap();
        let secret = vtpm.activate(&ticket.credential.blob, &ticket.credential.encrypted_seed).unwrap();
        let activated = key.activated(&ticket.token, &secret, NOW).unwrap();
        let known = activated.key();
        assert_eq!((known.enrolment, known.simulated), (Enrolment::EkCertificate, simulated));
        assert_eq!(known.not_after, NOW.plus(86_400));
    }
}

#[test]
fn a_ticket_carries_the_longer_name_of_a_key_on_p384() {
    let key = ChallengeKey::new(&[7; 32]);
    let vtpm = VTpm::with_keys(Arc::new(KeyPair::generate_on(EcdhCurve::P384).unwrap()));
    let ticket = ticket(&key, &vtpm);
    assert!(ticket.token.len() <= Ticket::MAX_LEN);
    let secret = vtpm.activate(&ticket.credential.blob, &ticket.credential.encrypted_seed).unwrap();
    let activated = key.activated(&ticket.token, &secret, NOW).unwrap();
    let name = |public: &[u8]| ObjectName::from_bytes(&simtee::vtpm::name(public)).unwrap();
    let ek = name(&vtpm.ek_public().unwrap());
    assert_eq!((ek.to_bytes().len(), &activated.key().ek), (50, &Some(ek.clone())));
    assert_eq!(activated.name(), &name(&vtpm.ak_public().unwrap()));
}

#[test]
fn a_ticket_that_is_altered_late_or_without_its_secret_enrols_nothing() {
    let key = ChallengeKey::new(&[7; 32]);
    let (vtpm, ticket) = issued(&key);
    let secret = vtpm.activate(&ticket.credential.blob, &ticket.credential.encrypted_seed).unwrap();
    let open = |token: &[u8], secret: &[u8], now| key.activated(token, secret, now).unwrap_err();
    for bit in 0..ticket.token.len() * 8 {
        let mut altered = ticket.token.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&altered, &secret, NOW), TicketError::Forged, "bit {bit}");
    }
    for len in [0, 31, 32, 100, ticket.token.len() - 1] {
        assert_eq!(open(&ticket.token[..len], &secret, NOW), TicketError::Forged);
    }
    let other = ChallengeKey::new(&[8; 32]);
    assert_eq!(other.activated(&ticket.token, &secret, NOW).unwrap_err(), TicketError::Forged);
    let (expires, now) = (NOW.plus(60), NOW.plus(61));
    assert_eq!(open(&ticket.token, &secret, now), TicketError::Expired { expires, now });
    for wrong in [&[][..], &[0; 32], &secret[..31]] {
        assert_eq!(open(&ticket.token, wrong, NOW), TicketError::Secret);
    }
    // A challenge of the same key is no ticket.
    let challenge = key.issue(claims::Nonce([1; 32]), NOW, 60);
    assert_eq!(open(&challenge.bytes, &secret, NOW), TicketError::Forged);
}

//! A TPM whose answers are altered on their way: whatever comes of it, it is an error or evidence, and soon.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use attester::{Activate, AttestError, Attester, Tcti, TpmAttester, TpmError, TpmPlaces};
use claims::EvidenceKind;

use crate::broker::report_data;
use crate::swtpm::{LIMIT, Swtpm, two_ports};

/// Which answer is altered, counted from the first of all connections, and at which byte behind its header.
struct Alteration {
    answer: usize,
    byte: usize,
    with: u8,
    seen: AtomicUsize,
}

/// Stands between an attester and a TPM; gives the port to connect to.
fn proxy(tpm: u16, alteration: Arc<Alteration>) -> u16 {
    let (commands, control) = two_ports();
    let port = commands.local_addr().unwrap().port();
    serve(control, move |client| {
        let server = TcpStream::connect(("127.0.0.1", tpm + 1))?;
        let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
        std::thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            to.shutdown(std::net::Shutdown::Both)
        });
        io::copy(&mut &server, &mut &client).map(drop)
    });
    serve(commands, move |mut client| {
        let mut server = TcpStream::connect(("127.0.0.1", tpm))?;
        loop {
            server.write_all(&message(&mut client)?)?;
            let mut answer = message(&mut server)?;
            if alteration.seen.fetch_add(1, Ordering::Relaxed) == alteration.answer {
                // The header's length is left alone: the other side would wait for what never comes.
                let at = if answer.len() > 10 { 10 + alteration.byte % (answer.len() - 10) } else { 9 };
                answer[at] ^= alteration.with;
            }
            client.write_all(&answer)?;
        }
    });
    port
}

fn serve(listener: TcpListener, handle: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) {
    let handle = Arc::new(handle);
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let handle = handle.clone();
            std::thread::spawn(move || handle(client));
        }
    });
}

/// A command or an answer: tag, length of all of it, code, and the rest.
fn message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut header = [0; 10];
    stream.read_exact(&mut header)?;
    let len = u32::from_be_bytes([header[2], header[3], header[4], header[5]]);
    let mut message = header.to_vec();
    message.resize(usize::try_from(len).unwrap(), 0);
    stream.read_exact(&mut message[10..])?;
    Ok(message)
}

/// Each answer of so many is altered. By hand, 1 and other bytes.
const STEP: usize = 3;

#[test]
fn an_altered_answer_is_an_error_or_evidence() {
    let tpm = Swtpm::start();
    let Tcti::Swtpm { host, port } = tpm.places().tcti else { panic!("no port") };
    let attest = |alteration: &Arc<Alteration>| {
        let tcti = Tcti::Swtpm { host, port: proxy(port, alteration.clone()) };
        let mut attester = TpmAttester::tpm(TpmPlaces { tcti, ..tpm.places() }, LIMIT).unwrap();
        attester.attest(&report_data(EvidenceKind::Tpm)).and_then(|_| attester.keys())
    };
    let unaltered = |answer| Alteration { answer, byte: 0, with: 0, seen: AtomicUsize::new(0) };
    // The first makes the key; the second counts.
    let count = Arc::new(unaltered(usize::MAX));
    attest(&count).unwrap();
    count.seen.store(0, Ordering::Relaxed);
    attest(&count).unwrap();
    let answers = count.seen.load(Ordering::Relaxed);
    for answer in (0..answers).step_by(STEP) {
        let alteration = Alteration { byte: answer * 11, with: 0xff, ..unaltered(answer) };
        let begun = Instant::now();
        if let Err(error) = attest(&Arc::new(alteration)) {
            let AttestError::Device(inner) = &error else { panic!("answer {answer}: {error}") };
            let broke_off = matches!(inner.downcast_ref(), Some(TpmError::BrokeOff) | None);
            assert!(!broke_off, "answer {answer}: {error}");
        }
        assert!(begun.elapsed() < LIMIT);
    }
}

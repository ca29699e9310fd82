//! How the agent fails: exit code, message, and nothing left behind.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::setup::{Setup, shared};

/// The text with the value of a line replaced.
fn with_line(text: &str, key: &str, value: &str) -> String {
    let line = |line: &str| match line.starts_with(key) {
        true => format!("{key} = {value}\n"),
        false => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn a_broker_of_another_identity_is_refused() {
    let setup = shared();
    let pin = "5a".repeat(32);
    let run = setup.guest_with(
        "pinned",
        |text| with_line(text, "identity", &format!("'{pin}'")),
        &["renew", "aes"],
    );
    let broker = setup.identity();
    let message = "keyfast-agent: refusing the broker: the statement is of broker";
    run.fails(7, &format!("{message} {broker}: expected {pin}"));
}

#[test]
fn an_unreachable_broker_is_given_up_in_time() {
    let setup = shared();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url =
        |text: &str| format!("wait_s = 2\n{}", with_line(text, "urls", &format!("['https://{nobody}']")));
    let since = Instant::now();
    let run = setup.guest_with("alone", url, &["renew", "aes"]);
    let took = since.elapsed();
    let last = "the last error: unreachable: Connection refused (os error 111)";
    run.fails(5, &format!("keyfast-agent: no broker answered within 2 seconds; {last}"));
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn a_broker_that_does_not_speak_is_given_up() {
    // It accepts connections and says nothing; the handshake's own limit is 10 seconds.
    let setup = shared();
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = mute.local_addr().unwrap();
    let url =
        |text: &str| format!("wait_s = 1\n{}", with_line(text, "urls", &format!("['https://{address}']")));
    let run = setup.guest_with("mute", url, &["renew", "aes"]);
    let last = "the last error: the handshake took longer than 10s";
    run.fails(5, &format!("keyfast-agent: no broker answered within 1 seconds; {last}"));
}

#[test]
fn the_second_url_is_tried_when_the_first_is_dead() {
    let setup = shared();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let urls = format!("['https://{nobody}', '{}']", setup.url());
    setup.guest_with("second", |text| with_line(text, "urls", &urls), &["renew", "aes"]).success();
}

#[test]
fn a_wrong_configuration_is_named_with_its_line() {
    let setup = shared();
    let path = setup.dev("guests/misconfigured/altered.toml");
    let run = setup.guest_with(
        "misconfigured",
        |text| format!("# a comment\ncolour = 1\n{text}"),
        &["renew", "aes"],
    );
    assert_eq!(run.code, Some(3), "{run}");
    let head = format!("keyfast-agent: `{}` is not a configuration of keyfast-agent:\n", path.display());
    assert!(run.stderr.starts_with(&head), "{run}");
    assert!(
        run.stderr.contains("line 2, column 1") && run.stderr.contains("unknown field `colour`"),
        "{run}"
    );
    let run = setup.guest_with("misconfigured", |_| String::new(), &["renew", "aes"]);
    assert!(run.code == Some(3) && run.stderr.contains("expected a section with urls and identity"), "{run}");
    let missing =
        setup.command("keyfast-agent").args(["--config", "nowhere.toml", "renew", "aes"]).output().unwrap();
    let message = "keyfast-agent: cannot read `nowhere.toml`: No such file or directory (os error 2)";
    crate::setup::Run::from(missing).fails(3, message);
}

#[test]
fn an_attester_that_the_agent_picked_itself_is_named_and_one_that_was_named_is_not() {
    let setup = shared();
    let picked = setup.guest("picks", &[], &["--attester", "auto", "renew", "aes"]).success();
    assert!(picked.stderr.trim_end().ends_with("INFO attester: auto picked `socket`"), "{picked}");
    let named = setup.guest("picks", &[], &["renew", "aes"]).success();
    assert!(!named.stderr.contains("picked"), "{named}");
}

#[test]
fn evidence_needs_no_broker_in_the_configuration() {
    let setup = shared();
    let socket = setup.attester("looked-at");
    let config = setup.path("attester.toml");
    fs::write(&config, format!("[attester]\nsocket = '{}'\n", socket.display())).unwrap();
    let run = |arguments: &[&str]| {
        let command = setup.command("keyfast-agent").arg("--config").arg(&config).args(arguments).output();
        crate::setup::Run::from(command.unwrap())
    };
    let written = setup.path("looked-at.bin");
    run(&["evidence", "--report-data", &"5a".repeat(64), "-o", written.to_str().unwrap()]).success();
    let report = fs::read(&written).unwrap();
    assert_eq!(report[0x50..0x90], [0x5a; 64]);
    let message = format!(
        "keyfast-agent: `broker` in `{}`: expected a section with urls and identity",
        config.display()
    );
    run(&["renew", "aes"]).fails(3, &message);
}

#[test]
fn an_attester_that_is_down_is_named() {
    let setup = shared();
    let run =
        setup.guest_with("mute-host", |text| with_line(text, "socket", "'nobody.sock'"), &["renew", "aes"]);
    let socket = setup.dev("guests/mute-host/nobody.sock");
    let head = format!("keyfast-agent: no evidence: cannot reach the attester at `{}`: ", socket.display());
    let tail = "No such file or directory (os error 2); is it there, and may this user open it?";
    run.fails(4, &format!("{head}{tail}"));
}

#[test]
fn a_log_that_forgot_what_the_guest_saw_is_refused() {
    let setup = shared();
    setup.guest("memory", &[], &["renew", "aes"]).success();
    let kept = setup.dev("guests/memory/state/checkpoint");
    setup.guest("memory", &[], &["renew", "aes"]).success();
    let text = fs::read_to_string(&kept).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines[1] = "1000000000";
    fs::write(&kept, lines.join("\n") + "\n").unwrap();
    let run = setup.guest("memory", &[], &["renew", "aes"]);
    let head = "keyfast-agent: refusing the broker: the log does not extend the one seen before: a tree of ";
    let tail = " leaves cannot extend one of 1000000000; a log that forgets may hide releases";
    assert_eq!(run.code, Some(7), "{run}");
    assert!(run.stderr.starts_with(head) && run.stderr.trim_end().ends_with(tail), "{run}");
    let root = lines[2].to_owned();
    lines[1] = "1";
    let other_root =
        if root.starts_with('A') { root.replacen('A', "B", 1) } else { format!("A{}", &root[1..]) };
    lines[2] = &other_root;
    fs::write(&kept, lines.join("\n") + "\n").unwrap();
    let run = setup.guest("memory", &[], &["renew", "aes"]);
    // A tree of one leaf is whole, so its root is where the proof starts, and the newer root is what it misses.
    let said = "the proof does not lead to the newer root";
    assert!(run.code == Some(7) && run.stderr.contains(said), "{run}");
    fs::write(&kept, "nonsense").unwrap();
    let run = setup.guest("memory", &[], &["renew", "aes"]);
    assert!(
        run.code == Some(3) && run.stderr.contains("cannot use the agent's state: not a checkpoint"),
        "{run}"
    );
}

/// Names in the set-up's own directory.
fn names(setup: &Setup) -> Vec<String> {
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    fs::read_dir(setup.path(".")).unwrap().map(|entry| name(entry.unwrap())).collect()
}

#[test]
fn a_damaged_file_gives_no_output() {
    let setup = shared();
    let data = vec![7; 200_000];
    for (name, flags) in [("damaged", &[][..]), ("damaged-signed", &["--sign"][..])] {
        let encrypted = setup.encrypt("db", &data, name, flags);
        let genuine = fs::read(&encrypted).unwrap();
        let output = setup.path(&format!("{name}.out"));
        let decrypt = |bytes: &[u8]| {
            fs::write(&encrypted, bytes).unwrap();
            setup.guest(name, &[], &["decrypt", &encrypted, "-o", output.to_str().unwrap()])
        };
        let len = genuine.len();
        for byte in [1, 40, len / 2, len - 1] {
            let mut altered = genuine.clone();
            altered[byte] ^= 1;
            let run = decrypt(&altered);
            assert!(matches!(run.code, Some(8 | 6 | 2)), "{name}, byte {byte}: {run}");
            assert!(!output.exists(), "{name}, byte {byte}");
        }
        let mut body = genuine.clone();
        body[len / 2] ^= 1;
        for bytes in [&body[..], &genuine[..len - 1], &genuine[..len / 2], &genuine[..10], &[]] {
            let run = decrypt(bytes);
            assert_eq!(run.code, Some(8), "{name}, {} of {len} bytes: {run}", bytes.len());
            assert!(run.stderr.starts_with(&format!("keyfast-agent: `{encrypted}`: ")), "{run}");
            assert!(!output.exists());
        }
        let longer = [&genuine[..], &[0]].concat();
        assert_eq!(decrypt(&longer).code, Some(8), "trailing bytes");
        assert!(!names(setup).iter().any(|name| name.starts_with(".keyfast-")), "no temporary file stays");
        decrypt(&genuine).success();
        assert_eq!(fs::read(output).unwrap(), data);
    }
}

#[test]
fn a_file_that_is_missing_or_of_another_key_is_named() {
    let setup = shared();
    let output = setup.path("missing.out");
    let output = output.to_str().unwrap();
    let run = setup.guest("missing", &[], &["decrypt", "nowhere.kf", "-o", output]);
    run.fails(8, "keyfast-agent: cannot use `nowhere.kf`: No such file or directory (os error 2)");
    let encrypted = setup.encrypt("db", b"data", "missing", &[]);
    let run = setup.guest("missing", &[], &["decrypt", &encrypted, "-o", output, "--key", "keep"]);
    run.fails(2, &format!("keyfast-agent: `{encrypted}` is not encrypted to the key `keep`"));
    let run = setup.guest("missing", &[], &["decrypt", &encrypted]);
    assert_eq!(run.code, Some(2), "{run}");
}

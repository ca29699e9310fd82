//! A development set-up in a directory of its own, and the binaries run in it.

use std::fmt;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use claims::BrokerId;

/// A broker and a simulated host that run until this is dropped, or until the test process ends in any way.
pub struct Setup {
    dir: PathBuf,
    watchdog: Child,
}

/// How a command ended.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// The set-up that tests share which harm nothing. It has the keys `db` (unwrap and release), `keep` (unwrap alone)
/// and `aes` (unwrap and release), all for simulated guests, and `genuine` for genuine ones.
pub fn shared() -> &'static Setup {
    static SHARED: OnceLock<Setup> = OnceLock::new();
    SHARED.get_or_init(|| {
        let setup = Setup::up();
        setup.create_key("db", &["--simulation", "--operations", "unwrap,release"]);
        setup.create_key("keep", &["--simulation"]);
        setup.create_key("aes", &["--simulation", "--kind", "aes-256", "--operations", "unwrap,release"]);
        setup.create_key("genuine", &["--operations", "unwrap,release"]);
        setup
    })
}

/// A binary of the workspace, which Cargo builds for the tests of its own package only.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join(name);
    let missing = "build the binaries that this test runs with `cargo build --workspace --bins`";
    assert!(path.is_file(), "`{}` is missing; {missing}", path.display());
    path
}

impl Setup {
    /// Starts one.
    pub fn up() -> Self {
        for name in ["keyfast-broker", "keyfast-simtee", "keyfast-agent"] {
            binary(name);
        }
        // Unix socket paths are short: 107 bytes.
        let dir = tempfile::Builder::new().prefix("kf").tempdir().unwrap().keep();
        // Reads until this process closes the pipe or is gone.
        let script = "read -r _; \"$0\" dev down; rm -rf -- \"$1\"";
        let watchdog = Command::new("sh")
            .args(["-c", script])
            .arg(binary("keyfast"))
            .arg(&dir)
            .env("KEYFAST_DEV", dir.join("dev"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What interrupts the tests must not stop it.
            .process_group(0)
            .spawn()
            .unwrap();
        let setup = Self { dir, watchdog };
        // What is logged is searched for secrets.
        let up = setup.command("keyfast").args(["dev", "up"]).env("KEYFAST_LOG", "trace").output();
        Run::from(up.unwrap()).success();
        setup
    }

    /// Restarts the broker with an altered configuration.
    pub fn reconfigure(&self, alter: impl Fn(&str) -> String) {
        let path = self.dev("broker.toml");
        let text = fs::read_to_string(&path).unwrap();
        self.end_broker("-TERM");
        fs::write(&path, alter(&text)).unwrap();
        self.keyfast(&["dev", "up"]).success();
    }

    /// A file of the tests' own.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A file of the development set-up.
    pub fn dev(&self, name: &str) -> PathBuf {
        self.dir.join("dev").join(name)
    }

    pub fn journal(&self) -> PathBuf {
        self.dev("broker/journal")
    }

    pub fn identity(&self) -> BrokerId {
        fs::read_to_string(self.dev("broker/broker-id")).unwrap().trim().parse().unwrap()
    }

    pub fn url(&self) -> String {
        let config = fs::read_to_string(self.dev("broker.toml")).unwrap();
        let config: toml::Table = config.parse().unwrap();
        config["urls"][0].as_str().unwrap().to_owned()
    }

    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(binary(name));
        command.current_dir(&self.dir).env("KEYFAST_DEV", self.dir.join("dev")).stdin(Stdio::null());
        // All simulated hosts are of one root, which takes seconds to make.
        command.env(simtee::KEPT_KEYS, concat!(env!("CARGO_TARGET_TMPDIR"), "/simtee-keys"));
        for variable in ["KEYFAST_ADMIN", "KEYFAST_BROKER", "KEYFAST_AGENT_CONFIG", "KEYFAST_LOG"] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs a `keyfast` command.
    pub fn keyfast(&self, arguments: &[&str]) -> Run {
        self.command("keyfast").args(arguments).output().unwrap().into()
    }

    /// Runs `keyfast-agent` in a simulated guest; `flags` are those of `keyfast dev guest`.
    pub fn guest(&self, name: &str, flags: &[&str], arguments: &[&str]) -> Run {
        let head = ["dev", "guest", name].into_iter().chain(flags.iter().copied());
        let tail = ["--", "keyfast-agent"].into_iter().chain(arguments.iter().copied());
        self.keyfast(&head.chain(tail).collect::<Vec<_>>())
    }

    /// Runs `keyfast-agent` in an ordinary simulated guest, with an altered configuration.
    pub fn guest_with(&self, name: &str, alter: impl Fn(&str) -> String, arguments: &[&str]) -> Run {
        self.keyfast(&["dev", "guest", name, "--", "true"]).success();
        let dir = self.dev("guests").join(name);
        let text = fs::read_to_string(dir.join("agent.toml")).unwrap();
        let config = dir.join("altered.toml");
        fs::write(&config, alter(&text)).unwrap();
        self.command("keyfast-agent").arg("--config").arg(config).args(arguments).output().unwrap().into()
    }

    /// The evidence socket of an ordinary simulated guest.
    pub fn attester(&self, name: &str) -> PathBuf {
        self.keyfast(&["dev", "guest", name, "--", "true"]).success();
        self.dev("simtee/guests").join(format!("{name}.sock"))
    }

    pub fn create_key(&self, key: &str, flags: &[&str]) {
        self.keyfast(&[&["keys", "create", key], flags].concat()).success();
    }

    /// Encrypts bytes to a key with `keyfast encrypt`; gives the file's path.
    pub fn encrypt(&self, key: &str, plaintext: &[u8], name: &str, flags: &[&str]) -> String {
        let (plain, descriptor) =
            (self.path(&format!("{name}.in")), self.path(&format!("{name}.descriptor")));
        fs::write(&plain, plaintext).unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        self.keyfast(&["keys", "descriptor", key, "-o", &text(&descriptor)]).success();
        let encrypted = text(&self.path(&format!("{name}.kf")));
        let (plain, descriptor, broker) = (text(&plain), text(&descriptor), self.identity().to_string());
        let fixed = ["encrypt", &plain, "-t", &descriptor, "--broker", &broker, "-o", &encrypted];
        self.keyfast(&[&fixed, flags].concat()).success();
        encrypted
    }

    /// What `keyfast audit explain` says of the request that an error message names.
    pub fn explain(&self, message: &str) -> wire::admin::Explanation {
        let (_, request) =
            message.trim_end().rsplit_once("keyfast audit explain ").unwrap_or_else(|| panic!("{message}"));
        let run = self.keyfast(&["audit", "explain", request, "--json"]).success();
        serde_json::from_str(&run.stdout).unwrap()
    }

    /// The process id of a background process of this set-up.
    pub fn pid(&self, name: &str) -> i32 {
        fs::read_to_string(self.dev(&format!("{name}.pid"))).unwrap().trim().parse().unwrap()
    }

    /// Sends this set-up's broker a signal and waits until it has ended.
    pub fn end_broker(&self, signal: &str) {
        let pid = self.pid("keyfast-broker").to_string();
        let status = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(status.success());
        let stat = PathBuf::from(format!("/proc/{pid}/stat"));
        // A child that nobody waits for is a zombie, which has ended.
        let running = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        wait_until("the broker has ended", || !running());
    }

    /// Starts the broker and waits for its end; gives exit code and output.
    pub fn broker_that_refuses_to_start(&self) -> Run {
        let config = self.dev("broker.toml");
        let mut child = self
            .command("keyfast-broker")
            .args(["serve", "--config"])
            .arg(config)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let since = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if since.elapsed() > PATIENCE {
                child.kill().unwrap();
                panic!(
                    "the broker started: {}",
                    String::from_utf8_lossy(&child.wait_with_output().unwrap().stderr)
                );
            }
            std::thread::sleep(PAUSE);
        }
        child.wait_with_output().unwrap().into()
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ended = self.watchdog.wait();
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Run {
    #[track_caller]
    pub fn success(self) -> Self {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    /// Asserts exit code and the whole of standard error.
    #[track_caller]
    pub fn fails(&self, code: i32, message: &str) {
        assert_eq!((self.code, self.stderr.trim_end()), (Some(code), message), "{self}");
    }

    /// Asserts that a broker gave up with this message, and nothing else than log lines before it.
    #[track_caller]
    pub fn message_is(&self, message: &str) {
        assert_eq!(self.last_line(), format!("keyfast-broker: {message}"), "{self}");
        assert_eq!(self.code, Some(3));
    }

    /// Asserts that a broker gave up with a message of this beginning.
    #[track_caller]
    pub fn message_starts(&self, message: &str) {
        assert!(self.last_line().starts_with(&format!("keyfast-broker: {message}")), "{self}");
        assert_eq!(self.code, Some(3));
    }

    pub fn last_line(&self) -> &str {
        self.stderr.lines().next_back().unwrap_or_default()
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {:?}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}

/// Waits for something that must come soon.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(PAUSE);
    }
}

const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

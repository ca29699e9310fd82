//! The report: printed as it grows, within 100 columns, and kept for the file.

use std::process::Command;

use claims::UnixTime;

/// Everything that was printed.
pub struct Report {
    text: String,
    quick: bool,
    missed: Vec<String>,
}

/// What a figure is held against.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// It must not be less.
    AtLeast(f64),
    /// It must not be more.
    AtMost(f64),
}

impl Target {
    /// How many times over it is reached.
    fn ratio(self, measured: f64) -> f64 {
        match self {
            Self::AtLeast(target) => measured / target,
            Self::AtMost(target) => target / measured,
        }
    }
}

impl Report {
    /// Prints what runs where.
    pub fn begin(quick: bool) -> Self {
        let mut report = Self { text: String::new(), quick, missed: Vec::new() };
        report
            .line(&format!("keyfast bench, {}", if quick { "quick: a look, not a result" } else { "full" }));
        report.line(&machine());
        report.note("A ratio of 1.00 or more reaches the target. CPU times are of the threads at work.");
        report
    }

    /// Begins a section.
    pub fn heading(&mut self, title: &str) {
        self.line("");
        self.line(title);
        self.line(&format!("  {:<46} {:>16} {:>16} {:>7}", "", "measured", "target", "ratio"));
    }

    /// A figure that has a target. `show` gives it its unit.
    pub fn target(&mut self, what: &str, measured: f64, target: Target, show: impl Fn(f64) -> String) {
        let (sign, bound) = match target {
            Target::AtLeast(bound) => (">=", bound),
            Target::AtMost(bound) => ("<=", bound),
        };
        let ratio = target.ratio(measured);
        let met = ratio >= 1.0;
        if !met {
            self.missed.push(what.to_owned());
        }
        let verdict = if met { "met" } else { "MISSED" };
        let bound = format!("{sign} {}", show(bound));
        self.line(&format!("  {what:<46} {:>16} {bound:>16} {ratio:>7.2} {verdict}", show(measured)));
    }

    /// A figure without one.
    pub fn plain(&mut self, what: &str, measured: impl std::fmt::Display) {
        self.line(&format!("  {what:<46} {measured:>16}"));
    }

    /// A sentence, in lines of fewer than 100 columns.
    pub fn note(&mut self, sentence: &str) {
        let mut line = String::from(" ");
        for word in sentence.split_whitespace() {
            if line.len() + 1 + word.len() > 98 {
                self.line(&line);
                line = String::from(" ");
            }
            line.push(' ');
            line.push_str(word);
        }
        self.line(&line);
    }

    /// Prints what missed.
    pub fn end(&mut self) {
        self.line("");
        if self.missed.is_empty() {
            self.line("Every target that was measured is met.");
        }
        for what in std::mem::take(&mut self.missed) {
            self.line(&format!("MISSED: {what}"));
        }
    }

    /// The file: what, where, when, and the report.
    pub fn to_markdown(&self) -> String {
        let quick = if self.quick { " A quick run: not to be quoted." } else { "" };
        format!(
            "# Measured\n\nBy `cargo run --release -p bench -- --write`, at {} on commit `{}`.{quick}\n\n\
             ```text\n{}```\n",
            now(),
            commit(),
            self.text,
        )
    }

    fn line(&mut self, line: &str) {
        println!("{line}");
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }
}

/// The clock of this machine.
pub fn now() -> UnixTime {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    UnixTime(since.map_or(0, |since| since.as_secs()))
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpu.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map_or("unknown", |(_, value)| value.trim())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown");
    let (family, model) = (field("cpu family"), field("model\t"));
    format!("{}, family {family} model {model}, {cores} cores; load {load} at the start", field("model name"))
}

fn commit() -> String {
    let described = Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=12"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    let text = described.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    text.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// Seconds as microseconds.
pub fn micros(seconds: f64) -> String {
    format!("{:.1} us", seconds * 1e6)
}

/// Seconds.
pub fn seconds(seconds: f64) -> String {
    format!("{seconds:.3} s")
}

/// A quotient.
pub fn times(quotient: f64) -> String {
    format!("{quotient:.2} x")
}

/// Bytes as megabytes (1,000,000 bytes).
pub fn megabytes(bytes: f64) -> String {
    format!("{:.2} MB", bytes / 1e6)
}

/// A rate.
pub fn per_second(rate: f64) -> String {
    format!("{rate:.0} /s")
}

/// Bytes per second.
pub fn throughput(bytes: u64, seconds: f64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let bytes = bytes as f64;
    format!("{:.2} GB/s", bytes / seconds / 1e9)
}

//! Guests at a broker: the whole flow over TLS on connections that stay open, counted in the broker's CPU time.

mod breakdown;
mod load;

use claims::{KeyId, Operation, Suite, UnwrapAlgorithm};
use wire::Unwrap;

use crate::report::{Report, Target, micros, per_second};
use crate::rig::Rig;
use crate::{Cli, Failed};
use load::{Measured, Plan};

/// Releases per second that a core of the broker has to reach.
const PER_CORE: f64 = 1500.0;

/// One kind of guest.
#[derive(Clone, Copy)]
struct Scenario {
    operation: Operation,
    suite: Suite,
    /// Whether guests show the checkpoint that they kept, and get a consistency proof.
    keeps: bool,
}

const SCENARIOS: [Scenario; 5] = [
    Scenario { operation: Operation::Release, suite: Suite::XWing, keeps: false },
    Scenario { operation: Operation::Release, suite: Suite::P384, keeps: false },
    Scenario { operation: Operation::Release, suite: Suite::XWing, keeps: true },
    Scenario { operation: Operation::Unwrap, suite: Suite::XWing, keeps: false },
    Scenario { operation: Operation::Unwrap, suite: Suite::P384, keeps: false },
];

impl Scenario {
    fn name(&self) -> String {
        let kept = if self.keeps { ", checkpoint kept" } else { "" };
        format!("{}, {}{kept}", self.operation, self.suite)
    }
}

/// Measures each scenario, and where the time of the first two goes.
pub fn run(cli: &Cli, report: &mut Report) -> Result<(), Failed> {
    let temporary = cli.temporary()?;
    let rig = Rig::start(temporary.path())?;
    let key: KeyId = "bench".parse()?;
    let public = rig.create_key(&key)?;
    let wrapped = public.encrypt_oaep_sha256(&crypto::random_array::<32>()?)?;
    let unwrap = Unwrap { algorithm: UnwrapAlgorithm::RsaOaep256, wrapped, context: Vec::new() };

    report.heading("release: challenge, release, journal, answer; TLS kept alive; generator not counted");
    let (warm_up, count) = if cli.quick { (200, 1000) } else { (1000, 8000) };
    let mut first = None;
    for scenario in SCENARIOS {
        let Scenario { operation, suite, keeps } = scenario;
        let unwrap = (operation == Operation::Unwrap).then(|| unwrap.clone());
        let connections = usize::from(cli.connections);
        let plan = Plan { operation, suite, keeps, unwrap, key: key.clone(), connections, warm_up, count };
        let measured = load::run(&rig, &plan)?;
        print(report, &scenario, &measured);
        if first.is_none() {
            first = Some(measured);
        }
    }
    report.note(&format!(
        "Each: {count} releases after {warm_up}, {} connections; the first of each connection was checked and \
         opened as an agent does. Latency is of both round trips, with generator and broker on the same cores.",
        cli.connections
    ));
    drop(rig);
    if let Some(measured) = first {
        breakdown::run(cli, report, &measured)?;
    }
    Ok(())
}

fn print(report: &mut Report, scenario: &Scenario, measured: &Measured) {
    let name = scenario.name();
    let rate = 1.0 / measured.cpu_s;
    match scenario.operation {
        Operation::Release => {
            let label = format!("{name}: per broker core");
            report.target(&label, rate, Target::AtLeast(PER_CORE), per_second);
        }
        _ => report.plain(&format!("{name}: per broker core"), per_second(rate)),
    }
    report.plain("    CPU for one; of it the writing thread", {
        format!("{} / {}", micros(measured.cpu_s), micros(measured.writer_s))
    });
    report.plain("    wall rate, generator on the same cores", per_second(measured.wall_rate));
    let (p50, p99) = (measured.latency.percentile(50), measured.latency.percentile(99));
    report.plain("    latency p50 / p99", format!("{:.1} / {:.1} ms", p50 * 1e3, p99 * 1e3));
    report.plain("    releases in one commit, mean", format!("{:.1}", measured.group));
}

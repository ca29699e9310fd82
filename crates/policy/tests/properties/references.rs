//! Random reference values over the bytes that guests have.

use std::collections::BTreeMap;
use std::fmt::Write;

use claims::UnixTime;

use crate::guests::{CSPS, VALUES, VM_IDS};
use crate::numbers::Numbers;

pub const STATES: [&str; 5] = ["trial", "active", "retiring", "expired", "denied"];
pub const PARTS: [&str; 5] = ["fmc", "bootloader", "tee", "snp", "microcode"];

/// Table of the file, type in policies, first byte, length.
pub const KINDS: [(&str, &str, u8, usize); 8] = [
    ("measurement", "Measurement", 0x10, 48),
    ("host_data", "HostData", 0x20, 32),
    ("id_key", "IdKey", 0x30, 48),
    ("chip", "Chip", 0x40, 64),
    ("pcr", "Pcr", 0x60, 32),
    ("measured", "Measured", 0x70, 32),
    ("database", "Database", 0x80, 32),
    ("paravisor", "Paravisor", 0x10, 48),
];

#[derive(Clone, Debug)]
pub struct Entry {
    pub table: &'static str,
    pub kind: &'static str,
    pub value: String,
    pub state: &'static str,
    /// From [`UNTIL`] on it is expired, unless it is denied.
    pub until: bool,
}

/// A floor of a product, or of one stepping of it.
#[derive(Clone, Debug)]
pub struct Floor {
    pub product: &'static str,
    pub stepping: Option<u8>,
    /// In the order of [`PARTS`].
    pub parts: [u8; 5],
}

#[derive(Clone, Debug)]
pub struct References {
    pub entries: Vec<Entry>,
    pub floors: Vec<Floor>,
    /// Bits that every floor demands.
    pub mitigations: Vec<u8>,
    /// Products. (A stepping that is revoked would gain by not saying which it is.)
    pub revoked: Vec<&'static str>,
}

impl References {
    /// Most values are known and good. With a floor for a product as a whole, those of its steppings are not higher:
    /// else a report that does not say its model would be held to less than one that does.
    pub fn random(numbers: &mut Numbers) -> Self {
        let mut entries = Vec::new();
        for (table, kind, value) in values() {
            if numbers.chance(85) {
                let active = ["active"; 6];
                let state = *numbers.pick(&[&STATES[..], &active].concat());
                entries.push(Entry { table, kind, value, state, until: numbers.chance(15) });
            }
        }
        let mut floors = Vec::new();
        for product in ["Milan", "Genoa", "Turin"] {
            let whole = [(); 5].map(|()| numbers.byte(4));
            let has_whole = numbers.chance(70);
            if has_whole {
                floors.push(Floor { product, stepping: None, parts: whole });
            }
            for stepping in [1, 2].into_iter().filter(|_| numbers.chance(60)).collect::<Vec<_>>() {
                let own = [(); 5].map(|()| numbers.byte(4));
                let parts = if has_whole { [0, 1, 2, 3, 4].map(|i| whole[i].min(own[i])) } else { own };
                floors.push(Floor { product, stepping: Some(stepping), parts });
            }
        }
        let mitigations = if numbers.chance(50) { vec![numbers.byte(4)] } else { Vec::new() };
        let revoked = if numbers.chance(20) { vec!["Milan"] } else { Vec::new() };
        Self { entries, floors, mitigations, revoked }
    }

    /// What is thought of a value at this time.
    pub fn state_at(entry: &Entry, now: UnixTime) -> &'static str {
        if entry.until && now >= UNTIL && entry.state != "denied" { "expired" } else { entry.state }
    }

    pub fn state(&self, kind: &str, value: &str) -> Option<&'static str> {
        self.entries.iter().find(|e| e.kind == kind && e.value == value).map(|e| e.state)
    }

    pub fn floor(&self, product: &str, stepping: Option<u8>) -> Option<[u8; 5]> {
        let find = |wanted| self.floors.iter().find(|f| f.product == product && f.stepping == wanted);
        stepping.and_then(|own| find(Some(own))).or_else(|| find(None)).map(|floor| floor.parts)
    }

    /// Values withdrawn and floors raised: guests can only lose by it, if rules say what is good and not what is bad.
    pub fn tightened(&self, numbers: &mut Numbers) -> Self {
        let mut tight = self.clone();
        for entry in &mut tight.entries {
            if numbers.chance(30) {
                entry.state = "expired";
            }
        }
        let some = numbers.index(tight.entries.len());
        tight.entries.drain(some..(some + 2).min(self.entries.len()));
        if numbers.chance(20) {
            tight.revoked = vec!["Milan", "Genoa"];
        }
        for floor in &mut tight.floors {
            let part = numbers.index(5);
            floor.parts[part] += numbers.byte(4);
        }
        tight
    }

    /// The same in another order.
    pub fn shuffled(&self, numbers: &mut Numbers) -> Self {
        let mut other = self.clone();
        numbers.shuffle(&mut other.entries);
        numbers.shuffle(&mut other.floors);
        other
    }

    /// The file.
    pub fn text(&self) -> String {
        let mut text = "version = 1\n".to_owned();
        for Entry { table, value, state, until, .. } in &self.entries {
            writeln!(text, "[[{table}]]\nvalue = \"{value}\"\nname = \"n\"\nstate = \"{state}\"").unwrap();
            if *until {
                writeln!(text, "valid_until = {UNTIL}").unwrap();
            }
        }
        for Floor { product, stepping, parts } in &self.floors {
            writeln!(text, "[[tcb_floor]]\nproduct = \"{product}\"").unwrap();
            if let Some(stepping) = stepping {
                writeln!(text, "cpuid = {{ family = 25, model = 17, stepping = {stepping} }}").unwrap();
            }
            let parts: BTreeMap<_, _> = PARTS.into_iter().zip(parts).collect();
            parts.into_iter().for_each(|(part, floor)| writeln!(text, "{part} = {floor}").unwrap());
            writeln!(text, "mitigations = {:?}", self.mitigations).unwrap();
        }
        for product in &self.revoked {
            writeln!(text, "[[revoked]]\nproduct = \"{product}\"\nwhy = \"w\"").unwrap();
        }
        text + &self.without_force()
    }

    /// Floors and revocations on trial, expired, ended or not begun, which decide nothing.
    fn without_force(&self) -> String {
        let mut text = String::new();
        let highest: String = PARTS.iter().map(|part| format!("{part} = 255\n")).collect();
        let dates = [
            "state = \"trial\"",
            "state = \"expired\"",
            "deny_from = 9999-01-01T00:00:00Z",
            "deny_from = 9999-02-01T00:00:00Z\nstate = \"retiring\"",
        ];
        for product in ["Milan", "Genoa", "Turin"] {
            for rest in dates {
                writeln!(text, "[[tcb_floor]]\nproduct = \"{product}\"\n{highest}{rest}").unwrap();
            }
            if !self.revoked.contains(&product) {
                writeln!(text, "[[revoked]]\nproduct = \"{product}\"\nwhy = \"w\"\nstate = \"trial\"")
                    .unwrap();
            }
        }
        text
    }
}

/// A midnight among the times that guests ask at.
const UNTIL: UnixTime = UnixTime(1_795_305_600 + 15 * 86_400);

/// Every value that guests have: table, type, value.
fn values() -> Vec<(&'static str, &'static str, String)> {
    let mut all = Vec::new();
    for (table, kind, first, len) in KINDS {
        all.extend((0..VALUES).map(|i| (table, kind, format!("{:02x}", first + i).repeat(len))));
    }
    all.extend(
        (0..VALUES).map(|i| ("ak", "AkName", format!("000b{}", format!("{:02x}", 0x50 + i).repeat(32)))),
    );
    all.extend(CSPS.map(|csp| ("csp", "Csp", csp.to_owned())));
    all.extend(VM_IDS.map(|id| ("vm_id", "VmId", id.to_owned())));
    all
}

//! Problems of a bundle in SARIF 2.1.0 (OASIS), which code review systems show beside the line.

use policy::LoadError;
use serde_json::{Value, json};

/// One run of this tool. `dir` is put before the files' names.
pub fn sarif(problems: &[LoadError], dir: &str) -> Value {
    let results: Vec<Value> = problems.iter().map(|problem| result(problem, dir)).collect();
    let mut codes: Vec<&str> = problems.iter().map(|problem| problem.problem.code()).collect();
    codes.sort_unstable();
    codes.dedup();
    let rules: Vec<Value> = codes.into_iter().map(|code| json!({ "id": code })).collect();
    json!({
        "version": "2.1.0",
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "runs": [{
            "tool": { "driver": {
                "name": "keyfast policy check",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(error: &LoadError, dir: &str) -> Value {
    let text = match &error.help {
        Some(help) => format!("{}; {help}", error.problem),
        None => error.problem.to_string(),
    };
    let file = format!("{}/{}", dir.trim_end_matches('/'), error.file);
    let region = error.at.map(|at| json!({ "startLine": at.line, "startColumn": at.column }));
    let mut physical = json!({ "artifactLocation": { "uri": file } });
    if let (Some(region), Some(physical)) = (region, physical.as_object_mut()) {
        physical.insert("region".to_owned(), region);
    }
    json!({
        "ruleId": error.problem.code(),
        "level": error.problem.severity().name(),
        "message": { "text": text },
        "locations": [{ "physicalLocation": physical }],
    })
}

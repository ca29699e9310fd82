/// Whether this is the change that the environment chooses; and notes that its place was reached.
#[doc(hidden)]
pub(crate) fn is_chosen_change(number: usize) -> bool {
    use std::collections::HashSet;
    use std::ffi::OsString;
    use std::io::Write as _;
    use std::sync::{Mutex, OnceLock};

    static CHOSEN: OnceLock<Option<usize>> = OnceLock::new();
    static REACHED: OnceLock<Option<(OsString, Mutex<HashSet<usize>>)>> = OnceLock::new();

    let reached = || std::env::var_os("MUTANTS_REACHED").map(|path| (path, Mutex::default()));
    if let Some((path, seen)) = REACHED.get_or_init(reached)
        && seen.lock().is_ok_and(|mut seen| seen.insert(number))
        && let Ok(mut file) = std::fs::OpenOptions::new().append(true).create(true).open(path)
    {
        let _ = file.write_all(format!("{number}\n").as_bytes());
    }
    let chosen = || std::env::var("MUTANTS_CHOSEN").ok().and_then(|text| text.parse().ok());
    *CHOSEN.get_or_init(chosen) == Some(number)
}

//! Edits of the manifest's text that leave comments, order and whatever is not meant as they are.

use claims::UnixTime;
use policy::ReferenceValue;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use super::Add;

/// A manifest's text, being changed.
pub struct Edit {
    document: DocumentMut,
    changed: bool,
}

impl Edit {
    /// Takes up a text.
    ///
    /// # Errors
    /// What is wrong with it, with its place.
    pub fn new(text: &str) -> Result<Self, String> {
        let document = text.parse::<DocumentMut>().map_err(|error| error.to_string())?;
        Ok(Self { document, changed: false })
    }

    /// Adds a value after the others of its kind.
    pub fn add(&mut self, kind: &str, given: &str, name: &str, args: &Add) {
        let mut table = Table::new();
        table.insert("value", value(given));
        table.insert("name", value(name));
        table.insert("state", value(&args.state));
        if let Some(origin) = &args.origin {
            table.insert("origin", value(origin));
        }
        for (key, date) in [("valid_from", args.valid_from), ("valid_until", args.valid_until)] {
            if let Some(date) = date.and_then(toml) {
                table.insert(key, date);
            }
        }
        let tables = self.document.entry(kind).or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
        if let Some(tables) = tables.as_array_of_tables_mut() {
            tables.push(table);
            self.changed = true;
        }
    }

    /// Gives a value another state.
    pub fn set_state(&mut self, of: &ReferenceValue, state: &str) {
        self.set(of, "state", value(state));
    }

    /// Lets a value expire from then on.
    pub fn set_end(&mut self, of: &ReferenceValue, at: UnixTime) {
        if let Some(at) = toml(at) {
            self.set(of, "valid_until", at);
        }
    }

    /// Lets a value count without an end.
    pub fn remove_end(&mut self, of: &ReferenceValue) {
        if let Some(table) = self.table(of) {
            table.remove("valid_until");
        }
    }

    fn set(&mut self, of: &ReferenceValue, key: &str, to: Item) {
        if let Some(table) = self.table(of) {
            table.insert(key, to);
            self.changed = true;
        }
    }

    fn table(&mut self, of: &ReferenceValue) -> Option<&mut Table> {
        let tables = self.document.get_mut(of.kind).and_then(Item::as_array_of_tables_mut);
        let is_it = |table: &&mut Table| table.get("value").and_then(Item::as_str) == Some(&of.value);
        tables.into_iter().flat_map(ArrayOfTables::iter_mut).find(is_it)
    }

    /// The text with this serial number; `None` if nothing was changed.
    pub fn finish(mut self, serial: u64) -> Option<String> {
        if !self.changed {
            return None;
        }
        let serial = value(i64::try_from(serial).unwrap_or(i64::MAX));
        match self.document.get_mut("serial") {
            Some(item) => *item = serial,
            None => drop(self.document.insert("serial", serial)),
        }
        Some(self.document.to_string())
    }
}

/// A time as TOML writes it.
fn toml(time: UnixTime) -> Option<Item> {
    time.to_string().parse::<toml_edit::Datetime>().ok().map(value)
}

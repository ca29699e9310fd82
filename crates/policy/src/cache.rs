//! What is the same from one decision to the next, in Cedar's terms: the time, and keys.
//!
//! Both hold a `datetime`, which Cedar reads from text with a regular expression each time. Bounded; what is found
//! here is compared whole before it is used, so that a key that changed is made anew.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use cedar_policy::{Context, Entity};
use claims::{KeyAttributes, KeyId, KeyVersion, UnixTime};

use crate::subject::Unfit;

/// Keys that are kept; beyond it all are forgotten at once.
const MAX_KEYS: usize = 4096;

/// The context of the last decision, and the entities of keys.
#[derive(Default)]
pub(crate) struct Cache {
    context: Mutex<Option<(UnixTime, Context)>>,
    keys: Mutex<HashMap<(KeyId, KeyVersion), (KeyAttributes, Entity)>>,
}

impl Cache {
    /// The context of decisions at `now`.
    pub(crate) fn context(
        &self,
        now: UnixTime,
        make: impl FnOnce() -> Result<Context, Unfit>,
    ) -> Result<Context, Unfit> {
        let mut kept = self.context.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((time, context)) = &*kept
            && *time == now
        {
            return Ok(context.clone());
        }
        let context = make()?;
        *kept = Some((now, context.clone()));
        Ok(context)
    }

    /// The entity of a key.
    pub(crate) fn key(
        &self,
        key: &KeyAttributes,
        make: impl FnOnce() -> Result<Entity, Unfit>,
    ) -> Result<Entity, Unfit> {
        let mut kept = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (key.id.clone(), key.version);
        if let Some((known, entity)) = kept.get(&name)
            && known == key
        {
            return Ok(entity.clone());
        }
        let entity = make()?;
        if kept.len() >= MAX_KEYS {
            kept.clear();
        }
        kept.insert(name, (key.clone(), entity.clone()));
        Ok(entity)
    }
}

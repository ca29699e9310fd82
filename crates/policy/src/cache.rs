//! What is the same from one decision to the next, in Cedar's terms: the circumstances as far as rules can read them,
//! and keys.
//!
//! The policies of keys are loaded once as well.
//!
//! Both hold a `datetime`, which Cedar reads from text with a regular expression each time. Bounded; what is found
//! here is compared whole before it is used, so that a key that changed is made anew.

use core::hash::Hash;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cedar_policy::{Context, Entity};
use claims::{KeyAttributes, KeyId, KeyVersion};

use crate::circumstances::Circumstances;
use crate::decide::Policy;
use crate::load_error::LoadErrors;
use crate::subject::Unfit;

/// Keys that are kept; beyond it all are forgotten at once.
const MAX_KEYS: usize = 4096;

/// The policies of keys, by their texts.
#[derive(Default)]
pub(crate) struct OwnPolicies(Mutex<HashMap<Arc<str>, Arc<Policy>>>);

impl OwnPolicies {
    /// The policy of this text.
    pub(crate) fn get(
        &self,
        text: &Arc<str>,
        load: impl FnOnce() -> Result<Policy, LoadErrors>,
    ) -> Result<Arc<Policy>, LoadErrors> {
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(text) {
            return Ok(Arc::clone(known));
        }
        // Nobody waits while another's policy loads; at worst it is loaded twice.
        let loaded = Arc::new(load()?);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keep(&mut kept, Arc::clone(text), Arc::clone(&loaded));
        Ok(loaded)
    }
}

/// The context of the last decision, and the entities of keys.
#[derive(Default)]
pub(crate) struct Cache {
    context: Mutex<Option<(Circumstances, Context)>>,
    keys: Mutex<HashMap<(KeyId, KeyVersion), (KeyAttributes, Entity)>>,
}

impl Cache {
    /// The context of decisions under these circumstances.
    pub(crate) fn context(
        &self,
        circumstances: &Circumstances,
        make: impl FnOnce() -> Result<Context, Unfit>,
    ) -> Result<Context, Unfit> {
        let mut kept = self.context.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, context)) = &*kept
            && known == circumstances
        {
            return Ok(context.clone());
        }
        let context = make()?;
        *kept = Some((circumstances.clone(), context.clone()));
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
        keep(&mut kept, name, (key.clone(), entity.clone()));
        Ok(entity)
    }
}

/// Keeps one more, within the bound.
fn keep<K: Eq + Hash, V>(kept: &mut HashMap<K, V>, name: K, value: V) {
    if kept.len() >= MAX_KEYS {
        kept.clear();
    }
    kept.insert(name, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit;

    /// An entity of this name.
    fn entity(name: &str) -> Result<Entity, Unfit> {
        let uid = format!("Key::\"{name}\"").parse().map_err(|_| "no name".to_owned())?;
        Ok(Entity::new_no_attrs(uid, [].into()))
    }

    #[test]
    fn no_more_is_kept_than_the_bound() {
        let mut kept = HashMap::new();
        (0..MAX_KEYS).for_each(|number| keep(&mut kept, number, number));
        assert_eq!(kept.len(), MAX_KEYS);
        keep(&mut kept, MAX_KEYS, MAX_KEYS);
        assert_eq!(kept, HashMap::from([(MAX_KEYS, MAX_KEYS)]));
    }

    #[test]
    fn a_key_is_made_once_and_again_when_it_changed() {
        let (cache, key) = (Cache::default(), fit::key(0).unwrap());
        let changed = KeyAttributes { revision: 2, ..key.clone() };
        assert_eq!(cache.key(&key, || entity("one")), entity("one"));
        assert_eq!(cache.key(&key, || Err("made again".to_owned())), entity("one"));
        assert_eq!(cache.key(&changed, || entity("two")), entity("two"));
        assert_eq!(cache.key(&key, || Err("made again".to_owned())), Err("made again".to_owned()));
    }

    #[test]
    fn a_context_is_made_once_and_again_when_it_changed() {
        let (cache, now) = (Cache::default(), Circumstances::at(claims::UnixTime(1)));
        let later = Circumstances::at(claims::UnixTime(2));
        let again = || Err("made again".to_owned());
        assert!(cache.context(&now, || Ok(Context::empty())).is_ok());
        assert!(cache.context(&now, again).is_ok());
        assert_eq!(cache.context(&later, again).err(), Some("made again".to_owned()));
        assert!(cache.context(&now, again).is_ok());
    }
}

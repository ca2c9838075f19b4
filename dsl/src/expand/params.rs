//! Parameters of an instance: what is the same for all members of a family is held once.

use neuroflow_stage::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Parameters by name, sorted, defaults filled in.
#[derive(Clone, Default)]
pub struct Params {
    /// Every name, and the value that members share.
    shared: Arc<[(Arc<str>, Value)]>,
    /// Values of this member, by their position in `shared`, sorted.
    own: Option<Arc<[(usize, Value)]>>,
}

impl Params {
    pub(super) fn shared(values: BTreeMap<String, Value>) -> Params {
        Params { shared: values.into_iter().map(|(name, value)| (Arc::from(name), value)).collect(), own: None }
    }

    /// The same with other values at some positions, which come sorted.
    pub(super) fn with_own(&self, own: Vec<(usize, Value)>) -> Params {
        Params { shared: Arc::clone(&self.shared), own: Some(own.into()) }
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.shared.binary_search_by(|(known, _)| (**known).cmp(name)).ok()
    }

    /// A parameter by name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let position = self.position(name)?;
        Some(self.own(position).unwrap_or(&self.shared[position].1))
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.shared.iter().enumerate().map(|(position, (name, value))| (&**name, self.own(position).unwrap_or(value)))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.shared.is_empty()
    }

    /// As a map of their own.
    pub fn to_map(&self) -> BTreeMap<String, Value> {
        self.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }

    fn own(&self, position: usize) -> Option<&Value> {
        let own = self.own.as_ref()?;
        own.binary_search_by_key(&position, |(at, _)| *at).ok().map(|at| &own[at].1)
    }
}

impl PartialEq for Params {
    fn eq(&self, other: &Params) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

//! What a request may use: ordered state, so that members of different versions refuse alike.
//!
//! The founding version's methods are there from the beginning; at each activation the target's are
//! added. A signature that was accepted once stays accepted, and those of the versions before the
//! founding one are too: old clients go on. One that only the next version knows is refused until
//! that is effective, by all members alike (design 4.13).

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use wire::{MethodId, Version};

use crate::service::{Description, Refusal};

/// The methods that requests may name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Interface {
    #[n(0)]
    methods: BTreeMap<MethodId, Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Entry {
    #[n(0)]
    read: bool,
    #[n(1)]
    since: Option<Version>,
    #[n(2)]
    signatures: BTreeSet<u32>,
}

impl Interface {
    pub(super) fn of(description: &Description) -> Interface {
        let mut interface = Interface::default();
        interface.extend(description);
        interface
    }

    /// Adds what another version offers. Where it says otherwise of a method, it is right: it is
    /// what executes from now on.
    pub(super) fn extend(&mut self, description: &Description) {
        for method in &description.methods {
            let entry = self.methods.entry(method.id).or_insert_with(|| Entry {
                read: method.read,
                since: method.since.clone(),
                signatures: BTreeSet::new(),
            });
            entry.read = method.read;
            entry.since.clone_from(&method.since);
            entry.signatures.insert(method.signature);
            entry.signatures.extend(&method.older_signatures);
        }
    }

    /// Whether a request may be executed while the group behaves as `effective`.
    ///
    /// # Errors
    /// Why not: the method first, then its kind, then the shape of its arguments.
    pub(super) fn accepts(
        &self,
        method: MethodId,
        signature: u32,
        read: bool,
        effective: &Version,
    ) -> Result<(), Refusal> {
        let entry = self
            .methods
            .get(&method)
            .filter(|entry| entry.since.as_ref().is_none_or(|since| since <= effective))
            .ok_or(Refusal::UnknownMethod)?;
        if entry.read != read {
            return Err(Refusal::WrongKind);
        }
        if entry.signatures.contains(&signature) {
            Ok(())
        } else {
            Err(Refusal::Malformed)
        }
    }
}

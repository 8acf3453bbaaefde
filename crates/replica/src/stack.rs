//! The stack: which layers a replica has, in which order, from the configured text (§4.1).
//!
//! `PGMS:EGMI:Recovery:Upgrade` is checked before anything starts: every name is known, none stands
//! twice, and each layer's requirements stand before it.

use crate::layer::Layer;
use crate::layers::{Invocation, Membership, Recovery, Upgrade};

/// The text of the usual stack.
pub const USUAL: &str = "PGMS:EGMI:Recovery:Upgrade";

/// The layers of one replica, checked, from the group to the service.
#[derive(Debug)]
pub struct Stack {
    layers: Vec<Box<dyn Layer>>,
}

/// Why a text is no stack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StackError {
    /// A name that no layer has.
    #[error("no layer is named \"{name}\"; there are {known}")]
    Unknown {
        /// The name.
        name: String,
        /// All known names.
        known: String,
    },
    /// A layer that stands twice.
    #[error("layer {name} stands twice in \"{text}\"; name it once")]
    Twice {
        /// Its name.
        name: String,
        /// The text.
        text: String,
    },
    /// A layer without what it needs.
    #[error("layer {name} needs {needs} before it in \"{text}\"; the usual stack is {USUAL}")]
    Requires {
        /// Its name.
        name: String,
        /// What is missing before it.
        needs: String,
        /// The text.
        text: String,
    },
}

/// All layers that a text may name: the built-in ones and a user's own.
fn known(own: Vec<Box<dyn Layer>>) -> Vec<Box<dyn Layer>> {
    let mut layers: Vec<Box<dyn Layer>> = vec![
        Box::new(Membership::default()),
        Box::new(Invocation),
        Box::new(Recovery::default()),
        Box::new(Upgrade::default()),
    ];
    layers.extend(own);
    layers
}

impl Stack {
    /// Reads `text`, taking layers from the built-in ones and from `own`.
    ///
    /// # Errors
    /// A name that is unknown or stands twice, or a layer whose requirements do not stand before it.
    pub fn parse(text: &str, own: Vec<Box<dyn Layer>>) -> Result<Stack, StackError> {
        let mut known = known(own);
        let names: Vec<&str> = known.iter().map(|layer| layer.name()).collect();
        let names = names.join(", ");
        let mut layers: Vec<Box<dyn Layer>> = Vec::new();
        for name in text.split(':') {
            if layers.iter().any(|layer| layer.name() == name) {
                return Err(StackError::Twice {
                    name: name.to_owned(),
                    text: text.to_owned(),
                });
            }
            let Some(at) = known.iter().position(|layer| layer.name() == name) else {
                return Err(StackError::Unknown {
                    name: name.to_owned(),
                    known: names,
                });
            };
            let layer = known.swap_remove(at);
            let missing = layer
                .requires()
                .iter()
                .find(|&&needed| layers.iter().all(|before| before.name() != needed));
            if let Some(&needs) = missing {
                return Err(StackError::Requires {
                    name: name.to_owned(),
                    needs: needs.to_owned(),
                    text: text.to_owned(),
                });
            }
            layers.push(layer);
        }
        Ok(Stack { layers })
    }

    /// Whether a layer of this name stands in it.
    pub fn has(&self, name: &str) -> bool {
        self.layers.iter().any(|layer| layer.name() == name)
    }

    /// From the group to the service.
    pub fn layers(&self) -> impl Iterator<Item = &dyn Layer> {
        self.layers.iter().map(AsRef::as_ref)
    }

    pub(crate) fn layers_mut(&mut self) -> impl Iterator<Item = &mut Box<dyn Layer>> {
        self.layers.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<&'static str>, String> {
        Stack::parse(text, Vec::new())
            .map(|stack| stack.layers().map(Layer::name).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_papers_stack_stands_in_its_order() {
        assert_eq!(
            parse(USUAL),
            Ok(vec!["PGMS", "EGMI", "Recovery", "Upgrade"])
        );
        assert_eq!(parse("PGMS:EGMI"), Ok(vec!["PGMS", "EGMI"]));
    }

    #[test]
    fn any_text_is_a_stack_or_is_refused() {
        let layers = 16 << 10;
        ::fuzz::Decoder::of("stack", [USUAL, "PGMS", "PGMS:EGMI"].map(|text| text.into()))
            // The error tells the text again.
            .buffer(layers)
            .survives(|bytes| std::str::from_utf8(bytes).is_ok_and(|text| parse(text).is_ok()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let faults = [
            ("", "no layer is named \"\""),
            (
                "PGMS:Egmi",
                "no layer is named \"Egmi\"; there are PGMS, EGMI, Recovery, Upgrade",
            ),
            (
                "PGMS:EGMI:PGMS",
                "PGMS stands twice in \"PGMS:EGMI:PGMS\"; name it once",
            ),
            (
                "EGMI:PGMS",
                "EGMI needs PGMS before it in \"EGMI:PGMS\"; the usual stack is PGMS:EGMI:Recovery",
            ),
            ("PGMS:Recovery:Upgrade", "Upgrade needs EGMI before it"),
            ("PGMS:EGMI:Upgrade", "Upgrade needs Recovery before it"),
        ];
        for (text, fault) in faults {
            let error = parse(text).expect_err(text);
            assert!(error.contains(fault), "{text}: {error}");
        }
    }
}

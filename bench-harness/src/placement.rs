//! Which processors the broker gets, and which the load generator.

use serde::{Deserialize, Serialize};

use crate::scenario::Layout;

/// Processors by number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    pub broker: Vec<usize>,
    pub client: Vec<usize>,
    /// Why so, in words.
    pub reason: String,
}

impl Placement {
    /// As a layout has it, on these processors.
    pub fn of(layout: Layout, usable: &[usize], interrupt_processor: Option<usize>) -> Placement {
        match layout {
            Layout::Pinned => Placement::pinned(usable, interrupt_processor),
            Layout::Shared => Placement {
                broker: usable.to_vec(),
                client: usable.to_vec(),
                reason: format!(
                    "broker and load generator share all {} processors: times include each \
                     other's work",
                    usable.len()
                ),
            },
        }
    }

    /// The broker goes to the processor that takes the disk's interrupts, the generator to another.
    /// With one processor they share it.
    fn pinned(usable: &[usize], interrupt_processor: Option<usize>) -> Placement {
        let interrupts = interrupt_processor.filter(|it| usable.contains(it));
        // Away from the first, where a host keeps most of its own work.
        let broker = interrupts.or(usable.last().copied()).unwrap_or(0);
        let client = usable.iter().copied().find(|processor| *processor != broker);
        let why = match interrupts {
            Some(_) => "which takes the disk's interrupts",
            None => "as no processor is known to take the disk's interrupts",
        };
        match client {
            Some(client) => Placement {
                broker: vec![broker],
                client: vec![client],
                reason: format!(
                    "broker on processor {broker}, {why}; load generator on processor {client}"
                ),
            },
            None => Placement {
                broker: vec![broker],
                client: vec![broker],
                reason: format!(
                    "broker and load generator share processor {broker}, the only one: times \
                     include each other's work"
                ),
            },
        }
    }

    /// As somebody wishes.
    pub fn fixed(broker: Vec<usize>, client: Vec<usize>) -> Placement {
        let list = |processors: &[usize]| match processors {
            [] => "any processor".to_owned(),
            some => {
                let numbers: Vec<String> = some.iter().map(usize::to_string).collect();
                format!("processor {}", numbers.join(", "))
            }
        };
        let reason =
            format!("broker on {}, load generator on {}, as set", list(&broker), list(&client));
        Placement { broker, client, reason }
    }
}

#[cfg(test)]
mod tests;

//! What tasks of one core wait for: values, queues, changes and room. No atomics, no threads.

pub mod budget;
pub mod oneshot;
pub mod queue;
pub mod watch;

//! What connectors share: posts into the queue (`ingest`), long-lived connections (`stream`), repeated requests (`poll`),
//! requests and their answers (`http`), waits between tries (`backoff`), failures of a platform (`failure`), stretches
//! without a connection (`gaps`), lines of a stream (`lines`), stopping (`stop`) and the state that people see (`status`).
//! How far a connector has read is kept by `state::Cursor`.

pub mod backoff;
pub mod failure;
pub(crate) mod gaps;
pub(crate) mod http;
pub(crate) mod ingest;
pub(crate) mod lines;
pub(crate) mod poll;
pub mod status;
pub(crate) mod stop;
pub(crate) mod stream;

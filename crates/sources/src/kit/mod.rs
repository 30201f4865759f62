//! What connectors share: posts into the queue (`ingest`), long-lived connections (`stream`), repeated requests (`poll`),
//! requests and their answers (`http`), small documents in the state (`memory`), waits between tries (`backoff`), failures
//! of a platform (`failure`), stretches without a connection (`gaps`), lines of a stream (`lines`), stopping (`stop`) and
//! the state that people see (`status`).

pub mod backoff;
pub mod failure;
pub(crate) mod gaps;
pub(crate) mod http;
pub(crate) mod ingest;
pub(crate) mod lines;
pub(crate) mod memory;
pub(crate) mod poll;
pub mod status;
pub(crate) mod stop;
pub(crate) mod stream;

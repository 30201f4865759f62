//! What connectors share: posts into the queue ([`ingest`]), long-lived connections ([`stream`]), repeated requests
//! ([`poll`]), small documents in the state ([`memory`]), waits between tries ([`backoff`]), failures of a platform ([`failure`]), stretches without a connection ([`gaps`]), answers of bounded
//! size ([`http`]), lines of a stream ([`lines`]) and the state that people see ([`status`]).

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

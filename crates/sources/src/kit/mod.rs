//! What connectors share: posts into the queue (`ingest`), long-lived connections (`stream`), repeated requests (`poll`),
//! lists that are read page by page (`listing`), their items as posts (`items`) and versions (`versions`), requests and
//! their answers (`http`), APIs with JSON (`api`), waits between tries (`backoff`), failures of a platform (`failure`),
//! stretches without a connection (`gaps`), lines of a stream (`lines`), stopping (`stop`) and the state that people see
//! (`status`). How far a connector has read is kept by `state::Cursor`.

pub(crate) mod api;
pub mod backoff;
pub mod failure;
pub(crate) mod gaps;
pub(crate) mod http;
pub(crate) mod ingest;
pub(crate) mod items;
pub(crate) mod lines;
pub mod listing;
pub(crate) mod poll;
pub mod status;
pub(crate) mod stop;
pub(crate) mod stream;
pub(crate) mod versions;

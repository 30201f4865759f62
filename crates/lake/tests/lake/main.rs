//! What the lake promises, tested from outside. One program: DataFusion is compiled into each test program again, which
//! takes more than a minute.

mod commit;
mod counts;
mod documents;
mod fence;
mod formats;
mod history;
mod maintenance;
mod place;
mod repair;
mod requests;
mod sql;
mod support;

//! One file per command: its flags, its help, what it does.

pub(crate) mod alerts;
pub(crate) mod analyze;
pub(crate) mod backtest;
pub(crate) mod categories;
pub(crate) mod config;
pub(crate) mod dead_letters;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod geocode;
pub(crate) mod import;
pub(crate) mod models;
pub(crate) mod reprocess;
pub(crate) mod sql;
pub(crate) mod topics;
pub(crate) mod up;

//! Amazon Web Services without an SDK: credentials by the standard chain, signed requests with AWS's own rules for retries
//! and clock skew, and one file a service with the operations that Overheard calls. Every operation is declared in
//! `operation`, with the permission that it needs.

#![warn(clippy::print_stdout, clippy::unwrap_used)]

mod client;
pub mod comprehend;
mod credentials;
mod failure;
pub mod operation;
pub mod places;
mod profile;
pub mod s3;
pub mod sagemaker;
pub mod secrets;
mod signature;
pub mod sns;
pub mod sqs;
pub mod streams;
pub mod translate;

pub use client::{Client, Settings, endpoint_of_environment};
pub use credentials::Credentials;
pub use failure::{Class, Failure};
pub use operation::{Operation, Service};

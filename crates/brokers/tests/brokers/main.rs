//! The queue over real brokers: nats-server, and ministack in the place of SQS. `make setup-test` installs both; a test
//! whose broker is missing says so and passes.

mod listener;
mod nats;
mod nats_server;
mod sqs;

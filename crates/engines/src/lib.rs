//! The optional engines on the network, beside what the program holds itself: places by Amazon Location, translation by
//! LibreTranslate (a server of one's own) or Amazon Translate. None is called unless the settings name it, and none holds
//! up a post: what it can't say is told as an issue of the post. Relies on `reqwest`.

#![warn(clippy::print_stdout, clippy::unwrap_used)]

mod amazon_location;
mod asking;
mod kept;
mod translation;

pub use amazon_location::{AmazonLocation, AmazonLocationConfig};
pub use asking::Limits;
pub use translation::Translation;

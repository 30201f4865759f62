//! The optional engines on the network, beside what the program holds itself: places by Amazon Location, translation by
//! LibreTranslate (a server of one's own) or Amazon Translate, understanding by Amazon Comprehend and by classifiers on
//! Amazon SageMaker; and streams that get copies of posts. None is called unless the settings name it, and none holds
//! up a post: what it can't say is told as an issue of the post. Relies on `reqwest`.

#![warn(clippy::print_stdout, clippy::unwrap_used)]

mod amazon_location;
mod asking;
mod comprehend;
mod kept;
mod sagemaker;
mod streams;
mod translation;

pub use amazon_location::AmazonLocation;
pub use asking::Limits;
pub use comprehend::Comprehend;
pub use sagemaker::{SageMaker, SageMakerConfig, SageMakerTask};
pub use streams::{AwsStream, Content};
pub use translation::Translation;

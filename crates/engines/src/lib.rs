//! Optional services on the network: places by Amazon Location, translation by LibreTranslate (a server of your own) or
//! Amazon Translate, enrichment by Amazon Comprehend and by classifiers on Amazon SageMaker, streams that get copies of
//! posts, sign-in by OpenID Connect. None is called unless the settings name it, and none holds up a post: what it can't
//! answer is recorded as an issue of the post.

#![warn(clippy::print_stdout, clippy::unwrap_used)]

mod amazon_location;
mod asking;
mod comprehend;
mod kept;
mod openid;
mod sagemaker;
mod streams;
mod translation;

pub use amazon_location::AmazonLocation;
pub use asking::Limits;
pub use comprehend::Comprehend;
pub use openid::{OpenId, OpenIdSettings};
pub use sagemaker::{SageMaker, SageMakerConfig, SageMakerTask};
pub use streams::{AwsStream, Content};
pub use translation::Translation;

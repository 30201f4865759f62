//! Optional services on the network: places by Amazon Location, translation by LibreTranslate (a server of your own) or
//! Amazon Translate, sign-in by OpenID Connect. None is called unless the settings name it, and none holds up a post: what
//! it can't answer is recorded as an issue of the post.

#![warn(clippy::print_stdout, clippy::unwrap_used)]

mod amazon_location;
mod asking;
mod kept;
mod openid;
mod translation;

pub use amazon_location::{AmazonLocation, AmazonLocationConfig};
pub use asking::Limits;
pub use openid::{OpenId, OpenIdSettings};
pub use translation::Translation;

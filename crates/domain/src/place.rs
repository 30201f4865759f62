//! Places: a point on the map with its names, and how it was found.

use serde::{Deserialize, Serialize};

/// A point, WGS 84, in degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Coordinates {
    /// -90 to 90.
    pub lat: f64,
    /// -180 to 180.
    pub lon: f64,
}

impl Coordinates {
    /// The point, unless it lies off the globe or is not a number.
    pub fn checked(lat: f64, lon: f64) -> Option<Self> {
        ((-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon)).then_some(Self { lat, lon })
    }
}

/// What kind of place it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlaceKind {
    Country,
    Region,
    City,
    /// Known by its coordinates alone.
    Point,
}

/// From what the place was found; the first is the surest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlaceFrom {
    /// Coordinates or a place that the platform attached to the post.
    Geotag,
    /// A place named in the text.
    Text,
    /// The author's own location line.
    Profile,
}

impl PlaceFrom {
    /// The word stored in the lake.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Geotag => "geotag",
            Self::Text => "text",
            Self::Profile => "profile",
        }
    }
}

/// A place in the world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The name people use, in English where there is one.
    pub name: String,
    /// ISO 3166-1, two letters.
    pub country: String,
    /// First-level division by name ("Texas").
    pub region: Option<String>,
    /// Its code within the country ("TX"), where one is in common use.
    pub region_code: Option<String>,
    pub coordinates: Coordinates,
    pub kind: PlaceKind,
    /// How sure we are that this is the place meant, 0 to 1.
    pub confidence: f32,
}

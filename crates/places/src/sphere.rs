//! Distances on the globe, taken as a sphere of 6,371 km: good to half a percent, enough to tell towns apart.

use domain::Coordinates;

/// Great-circle distance in kilometres.
pub(crate) fn distance_km(a: Coordinates, b: Coordinates) -> f64 {
    let (lat_a, lat_b) = (a.lat.to_radians(), b.lat.to_radians());
    let half_lat = ((lat_b - lat_a) / 2.0).sin();
    let half_lon = ((b.lon - a.lon).to_radians() / 2.0).sin();
    let h = half_lat * half_lat + lat_a.cos() * lat_b.cos() * half_lon * half_lon;
    2.0 * 6371.0 * h.sqrt().min(1.0).asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paris_to_new_york_is_5837_km() {
        let paris = Coordinates { lat: 48.8566, lon: 2.3522 };
        let new_york = Coordinates { lat: 40.7128, lon: -74.006 };
        assert!((distance_km(paris, new_york) - 5837.0).abs() < 5.0);
    }

    #[test]
    fn the_date_line_is_no_wall() {
        let west = Coordinates { lat: 0.0, lon: 179.9 };
        let east = Coordinates { lat: 0.0, lon: -179.9 };
        assert!((distance_km(west, east) - 22.2).abs() < 0.1);
    }
}

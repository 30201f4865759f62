//! From coordinates to the place they lie in. The nearest town decides country and region; within that region a larger
//! town reaches further than a small one, so that a point downtown is in the city and not in a suburb a street nearer.

use crate::compile::cell_of;
use crate::index::{CELL_COLUMNS, CELL_ROWS, Index, PlaceId};
use domain::Coordinates;

/// Past this no town is near: open sea, ice, desert.
const DISTANCE_MAX_KM: f64 = 200.0;
const KM_PER_DEGREE: f64 = 111.2;

/// The place of a point, and how far the nearest town is in kilometres; none far from every town.
pub(crate) fn nearest(index: &Index<'_>, point: Coordinates) -> Option<(PlaceId, f64)> {
    // A search that reaches one degree about the square of the point is exact up to about 100 km, two up to 200.
    let (city, distance) = least(index, point, 1, None, |square, _| square)
        .filter(|(_, km)| *km < 100.0)
        .or_else(|| least(index, point, 2, None, |square, _| square))?;
    // The reach of a town grows with the fourth root of its people, its square with the square root: 1,000 to 1,000,000
    // is 1 to 5.6.
    let reach = |square: f64, id: PlaceId| square / f64::from(index.population(id).max(500)).sqrt();
    let (best, _) = least(index, point, 1, index.region(city), reach).unwrap_or((city, distance));
    Some((best, distance))
}

/// The city of least cost within the limit, of one region or of any, with its distance. The cost is a function of the
/// distance's square, because a root for each town about would be a sixth of all the time that places take.
fn least(
    index: &Index<'_>,
    point: Coordinates,
    reach: usize,
    region: Option<PlaceId>,
    cost: impl Fn(f64, PlaceId) -> f64,
) -> Option<(PlaceId, f64)> {
    let home = cell_of(point.lat, point.lon);
    let (row, column) = (home / CELL_COLUMNS, home % CELL_COLUMNS);
    let east_km = KM_PER_DEGREE * point.lat.to_radians().cos();
    let mut best: Option<(PlaceId, f64, f64)> = None;
    for near_row in row.saturating_sub(reach)..=(row + reach).min(CELL_ROWS - 1) {
        // Meridians draw together towards the poles: more columns make up the same distance.
        let lat = (near_row as f64 - 89.5).abs().min(89.0).to_radians();
        let columns = ((reach as f64 / lat.cos()).ceil() as usize).min(CELL_COLUMNS / 2 - 1);
        for offset in 0..=2 * columns {
            let near_column = (column + CELL_COLUMNS + offset - columns) % CELL_COLUMNS;
            for number in index.cell(near_row, near_column) {
                let id = index.city(number);
                let there = index.coordinates(id);
                let mut lon = (there.lon - point.lon).abs();
                lon = lon.min(360.0 - lon);
                // Flat at this scale: half a percent at 200 km.
                let (east, north) = (lon * east_km, (there.lat - point.lat) * KM_PER_DEGREE);
                let square = east * east + north * north;
                if square > DISTANCE_MAX_KM * DISTANCE_MAX_KM || region.is_some_and(|r| index.region(id) != Some(r)) {
                    continue;
                }
                let cost = cost(square, id);
                if best.is_none_or(|(.., least)| cost < least) {
                    best = Some((id, square, cost));
                }
            }
        }
    }
    best.map(|(id, square, _)| (id, square.sqrt()))
}

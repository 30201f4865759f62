//! Amazon Location against a stand-in of the service on this machine: what is asked, what is made of the answers, what
//! happens when it fails.

mod stand_in;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use domain::{Coordinates, ErrorKind, Geocoder, PlaceHints, PlaceKind, SystemClock};
use engines::{AmazonLocation, Limits};
use serde_json::{Value, json};
use stand_in::serve;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Default)]
struct StandIn {
    asked: Mutex<Vec<Value>>,
    calls: AtomicUsize,
    down: std::sync::atomic::AtomicBool,
}

type Reply = Result<Json<Value>, StatusCode>;

async fn answer(state: &StandIn, key: &HashMap<String, String>, body: Value, found: Value) -> Reply {
    state.calls.fetch_add(1, Ordering::SeqCst);
    state.asked.lock().unwrap().push(body.clone());
    if state.down.load(Ordering::SeqCst) {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    if body["QueryText"] == "refused" {
        return Err(StatusCode::BAD_REQUEST);
    }
    match key.get("key").map(String::as_str) {
        Some("secret") => Ok(Json(json!({"PricingBucket": "Stored", "ResultItems": found}))),
        _ => Err(StatusCode::FORBIDDEN),
    }
}

async fn geocode(
    State(state): State<Arc<StandIn>>,
    Query(key): Query<HashMap<String, String>>,
    Json(body): Json<Value>,
) -> Reply {
    let item = |kind: &str, score: f64| {
        json!({"PlaceId": "p", "PlaceType": kind, "Title": "Austin, TX, United States",
        "Address": {"Label": "Austin, TX, United States", "Country": {"Code2": "US", "Code3": "USA", "Name": "United States"},
            "Region": {"Code": "TX", "Name": "Texas"}, "SubRegion": {"Name": "Travis"}, "Locality": "Austin"},
        "Position": [-97.7436, 30.27113], "MatchScores": {"Overall": score}})
    };
    let found = match body["QueryText"].as_str().unwrap() {
        "austin, tx" => json!([item("Locality", 1.0)]),
        "austin street bakery" => json!([item("PointOfInterest", 1.0), item("Locality", 0.4)]),
        _ => json!([]),
    };
    answer(&state, &key, body, found).await
}

async fn reverse(
    State(state): State<Arc<StandIn>>,
    Query(key): Query<HashMap<String, String>>,
    Json(body): Json<Value>,
) -> Reply {
    let is_at_sea = body["QueryPosition"] == json!([-30.0, 0.0]);
    let munich = json!([{"PlaceId": "p", "PlaceType": "PointAddress", "Title": "1 Marienplatz",
        "Address": {"Country": {"Code2": "DE", "Name": "Germany"}, "Region": {"Code": "BY", "Name": "Bavaria"},
            "Locality": "Munich"}, "Position": [11.5755, 48.1374], "Distance": 12}]);
    let found = if is_at_sea { json!([]) } else { munich };
    answer(&state, &key, body, found).await
}

/// The stand-in on a free port, and an engine that talks to it: after a failure it leaves the service alone for ever.
fn start(key: &str) -> (Arc<StandIn>, AmazonLocation) {
    start_with(key, Duration::from_secs(3_600))
}

fn start_with(key: &str, rest: Duration) -> (Arc<StandIn>, AmazonLocation) {
    let state = Arc::new(StandIn::default());
    let app = Router::new()
        .route("/v2/geocode", post(geocode))
        .route("/v2/reverse-geocode", post(reverse))
        .with_state(state.clone());
    let settings = aws::Settings { region: "eu-central-1".into(), endpoint: serve(app), credentials: None };
    let limits = Limits { rest, ..AmazonLocation::limits() };
    (state, AmazonLocation::new(&settings, Some(key.into()), Arc::new(SystemClock), &limits).unwrap())
}

#[test]
fn a_text_becomes_a_place_and_is_asked_once() {
    let (service, engine) = start("secret");
    engine.prepare(&["Austin,  TX", "austin, tx", "🙂", ""]);
    let found = engine.locate("Austin, TX", &PlaceHints::default()).unwrap();
    let place = &found[0];
    assert_eq!((place.name.as_str(), place.country.as_str(), place.kind), ("Austin", "US", PlaceKind::City));
    assert_eq!((place.region.as_deref(), place.region_code.as_deref()), (Some("Texas"), Some("TX")));
    assert_eq!(place.coordinates, Coordinates { lat: 30.27113, lon: -97.7436 });
    assert_eq!(service.calls.load(Ordering::SeqCst), 1, "four lines, one question");
    let asked = service.asked.lock().unwrap();
    assert_eq!(asked[0]["IntendedUse"], "Storage");
}

#[test]
fn shops_and_guesses_are_no_places() {
    let (_, engine) = start("secret");
    assert_eq!(engine.locate("Austin Street Bakery", &PlaceHints::default()).unwrap(), []);
    assert_eq!(engine.locate("in your heart", &PlaceHints::default()).unwrap(), []);
}

#[test]
fn a_point_gets_its_town_and_keeps_its_coordinates() {
    let (service, engine) = start("secret");
    let point = Coordinates { lat: 48.137_41, lon: 11.575_52 };
    let place = engine.nearest(point).unwrap().unwrap();
    assert_eq!((place.name.as_str(), place.country.as_str(), place.coordinates), ("Munich", "DE", point));
    assert_eq!(service.asked.lock().unwrap()[0]["QueryPosition"], json!([11.576, 48.137]));
}

#[test]
fn a_service_that_is_down_is_left_alone_and_then_asked_again() {
    let (service, engine) = start("secret");
    service.down.store(true, Ordering::SeqCst);
    assert!(engine.locate("Austin, TX", &PlaceHints::default()).is_err());
    assert!(engine.locate("Berlin", &PlaceHints::default()).is_err());
    assert_eq!(service.calls.load(Ordering::SeqCst), 3, "three attempts; the second was not asked");
    let (service, engine) = start_with("secret", Duration::ZERO);
    service.down.store(true, Ordering::SeqCst);
    assert!(engine.locate("Austin, TX", &PlaceHints::default()).is_err());
    service.down.store(false, Ordering::SeqCst);
    assert_eq!(engine.locate("Austin, TX", &PlaceHints::default()).unwrap().len(), 1);
}

#[test]
fn a_line_that_is_refused_says_so_and_stops_no_other() {
    let (service, engine) = start("secret");
    engine.prepare(&["refused", "Austin, TX"]);
    assert_eq!(service.calls.load(Ordering::SeqCst), 2);
    let error = engine.locate("refused", &PlaceHints::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reject);
    assert_eq!(engine.locate("Austin, TX", &PlaceHints::default()).unwrap().len(), 1, "no rest for one bad line");
}

#[test]
fn a_wrong_key_says_what_it_needs_and_is_not_told() {
    let (_, engine) = start("wrong-key");
    let error = engine.locate("Berlin", &PlaceHints::default()).unwrap_err().to_string();
    assert!(error.contains("geo-places:Geocode") && !error.contains("wrong-key"), "{error}");
}

#[test]
fn the_service_keeps_the_promises() {
    testkit::conformance::geocoder(&start("secret").1);
    let (service, engine) = start("secret");
    service.down.store(true, Ordering::SeqCst);
    testkit::conformance::geocoder_that_is_down(&engine);
}

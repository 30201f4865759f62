//! Amazon Comprehend and a SageMaker endpoint against stand-ins: what is taken from their answers, and what stays the
//! embedded model's when they refuse, are throttled, or fail.

use aws::{Credentials, Settings};
use domain::{Category, Enricher, Enrichment, EntityKind, SentimentLabel, SystemClock};
use engines::{Comprehend, Limits, SageMaker, SageMakerConfig, SageMakerTask};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use testkit::aws_servers::AwsServers;
use testkit::{FakeEnricher, posts};

fn limits() -> Limits {
    Limits { timeout: Duration::from_secs(10), rest: Duration::from_secs(3_600), kept_max: 1_000, calls_max: 4 }
}

fn settings(address: &str) -> Settings {
    let credentials = Credentials::fixed("AKID", &"secret".into(), None);
    Settings { region: "eu-central-1".into(), endpoint: address.into(), credentials: Some(credentials) }
}

fn comprehend(address: &str) -> Comprehend {
    Comprehend::new(Arc::new(FakeEnricher), &settings(address), Arc::new(SystemClock), &limits()).unwrap()
}

fn sagemaker(address: &str, endpoint: &str, task: SageMakerTask, labels: &[&str]) -> SageMaker {
    let config = SageMakerConfig {
        endpoint: endpoint.into(),
        task,
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        confidence_min: 0.4,
    };
    let (embedded, clock) = (Arc::new(FakeEnricher), Arc::new(SystemClock));
    SageMaker::new(embedded, &config, &settings(address), clock, &limits()).unwrap()
}

fn understood(engine: &dyn Enricher, texts: &[&str]) -> Vec<Enrichment> {
    let posts: Vec<_> = texts.iter().enumerate().map(|(n, text)| posts::post(&n.to_string(), text)).collect();
    engine.enrich(&posts).into_iter().map(Result::unwrap).collect()
}

#[test]
fn both_keep_the_promises_of_an_enricher() {
    let (_, address) = AwsServers::start();
    testkit::conformance::enricher(&comprehend(&address));
    testkit::conformance::enricher(&sagemaker(&address, "triage", SageMakerTask::Category, &[]));
}

#[test]
fn what_comprehend_says_stands_before_what_the_model_says() {
    let (service, address) = AwsServers::start();
    let engine = comprehend(&address);
    let texts = ["xx The flight from Austin was delayed, JetBlue, on Monday", "xx München ist großartig"];
    let found = understood(&engine, &texts);
    assert_eq!((found[0].language.code.as_str(), found[1].language.code.as_str()), ("en", "de"));
    assert_eq!(found[0].text_en.as_deref(), Some(texts[0]));
    assert_eq!(found[0].sentiment.unwrap().label, SentimentLabel::Negative);
    assert_eq!(found[1].sentiment.unwrap().label, SentimentLabel::Positive);
    let entities: Vec<_> = found[0].entities.iter().map(|one| (one.text.as_str(), one.kind)).collect();
    assert_eq!(entities, [("Austin", EntityKind::Location), ("JetBlue", EntityKind::Organisation)]);
    assert_eq!(found[0].key_phrases[0].text, "flight");
    assert_eq!(found[0].model, "amazon comprehend over fake");
    understood(&engine, &texts);
    assert_eq!(service.calls("BatchDetectSentiment"), 2, "one for each language; then remembered");
}

#[test]
fn texts_are_asked_in_batches_and_languages_that_are_not_offered_stay_the_models() {
    let (service, address) = AwsServers::start();
    let texts: Vec<String> = (0..60).map(|n| format!("en love number {n}")).collect();
    let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    texts.push("nl Lekker hoor");
    let found = understood(&comprehend(&address), &texts);
    assert_eq!(service.calls("BatchDetectDominantLanguage"), 3, "25 texts a call");
    assert!(found[..60].iter().all(|one| one.sentiment.is_some()));
    assert_eq!((found[60].language.code.as_str(), found[60].sentiment), ("nl", None));
    assert!(found[60].issues[0].contains("offers nothing for the language nl"), "{:?}", found[60].issues);
}

#[test]
fn a_text_that_fails_alone_is_asked_again_and_stops_no_other() {
    let (_, address) = AwsServers::start();
    let found = understood(&comprehend(&address), &["en love", "en poison", "en flaky love"]);
    assert!(found[0].issues.is_empty() && found[2].issues.is_empty(), "{:?}", found[2].issues);
    assert_eq!(found[2].sentiment.unwrap().label, SentimentLabel::Positive);
    assert!(found[1].issues[0].contains("INTERNAL_SERVER_ERROR"), "{:?}", found[1].issues);
    assert_eq!(found[1].language.code, "en", "the model's");
}

#[test]
fn a_throttled_service_is_asked_again_and_then_left_alone() {
    let (service, address) = AwsServers::start();
    service.throttled.store(2, Ordering::SeqCst);
    assert_eq!(understood(&comprehend(&address), &["en love"])[0].issues, Vec::<String>::new());
    let engine = comprehend(&address);
    service.throttled.store(1_000, Ordering::SeqCst);
    let found = understood(&engine, &["en love", "de hallo"]);
    assert!(found.iter().all(|one| one.issues[0].contains("Rate exceeded")), "{:?}", found[0].issues);
    assert_eq!(found[1].language.code, "de", "the embedded model is there");
    let calls = service.calls("");
    understood(&engine, &["en more"]);
    assert_eq!(service.calls(""), calls, "left alone");
}

#[test]
fn an_endpoint_gives_the_category_and_nothing_is_dropped_for_being_unsure() {
    let (service, address) = AwsServers::start();
    service.starting.store(1, Ordering::SeqCst);
    let engine = sagemaker(&address, "triage", SageMakerTask::Category, &[]);
    let found = understood(&engine, &["en late again", "en love it", ""]);
    let category = |label: &str, confidence| Some(Category { label: label.into(), confidence });
    assert_eq!((&found[0].category, &found[1].category), (&category("delay", 0.83), &category("praise", 0.83)));
    assert_eq!(found[2].category, None, "nothing to read");
    let labels = ["delay", "refund", "praise", "seat"];
    let engine = sagemaker(&address, "zero-shot", SageMakerTask::Category, &labels);
    assert_eq!(understood(&engine, &["en hm"])[0].category, category("other", 0.25));
}

#[test]
fn an_endpoint_that_fails_leaves_the_models_answer_and_says_why() {
    let (_, address) = AwsServers::start();
    for (endpoint, text, words) in [
        ("triage", "en poison", "CUDA error"),
        ("missing", "en x", "not found"),
        ("odd", "en x", "is not that of a text or zero-shot classification"),
    ] {
        let engine = sagemaker(&address, endpoint, SageMakerTask::Category, &[]);
        let found = understood(&engine, &[text]);
        assert!(found[0].issues[0].contains(words), "{:?}", found[0].issues);
        assert_eq!(found[0].language.code, "en");
    }
    let engine = sagemaker(&address, "triage", SageMakerTask::Category, &[]);
    let found = understood(&engine, &["en late", "en poison"]);
    assert!(found[0].category.is_some() && found[1].category.is_none(), "a bad text stops no other");
    let engine = sagemaker(&address, "triage", SageMakerTask::Sentiment, &[]);
    let found = understood(&engine, &["en late"]);
    assert!(found[0].issues[0].contains("names no sentiment"), "{:?}", found[0].issues);
    let config =
        SageMakerConfig { endpoint: "a/b".into(), task: SageMakerTask::Category, labels: vec![], confidence_min: 0.4 };
    let made = SageMaker::new(Arc::new(FakeEnricher), &config, &settings(&address), Arc::new(SystemClock), &limits());
    assert!(made.is_err());
}

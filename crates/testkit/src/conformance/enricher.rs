//! The promises of [`Enricher`].

use crate::posts;
use domain::{Enricher, Enrichment, ErrorKind, Post};

/// Runs every promise.
pub fn enricher(enricher: &dyn Enricher) {
    assert!(!enricher.model().is_empty(), "a model has a name");
    assert!(enricher.enrich(&[]).is_empty(), "no posts, no answers");
    let posts = texts();
    let answers = enricher.enrich(&posts);
    assert_eq!(answers.len(), posts.len(), "one answer per post");
    for (post, answer) in posts.iter().zip(&answers) {
        let alone = enricher.enrich(std::slice::from_ref(post)).pop().expect("one answer");
        match (answer, alone) {
            (Ok(answer), Ok(alone)) => {
                holds_together(&post.text, answer, enricher.model());
                same(&post.text, answer, &alone);
            }
            (Err(error), Err(alone)) => {
                assert_eq!(error.kind(), ErrorKind::Reject, "a post that can't be understood is rejected");
                assert_eq!(error.to_string(), alone.to_string(), "the reason doesn't depend on the others");
            }
            _ => panic!("{:?} is understood in one batch and not in another", post.text),
        }
    }
    answers_threads_at_once(enricher, &posts, &answers);
}

/// What people write, in several languages, and what nobody should.
fn texts() -> Vec<Post> {
    let long = "the flight was late and nobody said a word ".repeat(300);
    let texts = [
        "en The flight from Austin was delayed, again! @JetBlue #fail https://t.co/x1",
        "de Die Crew in München war großartig, vielen Dank 😍",
        "",
        "bad",
        " ",
        "😡😡😡",
        "\0\u{202e}a\u{301}",
        "東京 の 電車 が 遅れた",
        &long,
        "es El equipaje no llegó a Madrid. Tres horas esperando",
    ];
    texts.iter().enumerate().map(|(n, text)| posts::post(&n.to_string(), text)).collect()
}

fn is_share(value: f32) -> bool {
    (0.0..=1.0).contains(&value)
}

/// Every number is within its bounds, every span cuts the text where it says.
fn holds_together(text: &str, enrichment: &Enrichment, model: &str) {
    assert_eq!(enrichment.model, model, "{text:?}: the model that spoke");
    let language = &enrichment.language;
    assert!(!language.code.is_empty() && is_share(language.confidence), "{text:?}: {language:?}");
    if language.code == "en" {
        assert_eq!(enrichment.text_en.as_deref(), Some(text), "an English text is its own English");
    }
    if let Some(one) = enrichment.sentiment {
        let scores = [one.positive, one.negative, one.neutral, one.mixed];
        assert!(scores.into_iter().all(is_share), "{text:?}: {one:?}");
        assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-3, "{text:?}: scores add up to 1: {one:?}");
    }
    assert!(enrichment.offensive.is_none_or(is_share), "{text:?}");
    assert!(enrichment.emotion.as_ref().is_none_or(|one| is_share(one.confidence)), "{text:?}");
    assert!(enrichment.category.as_ref().is_none_or(|one| is_share(one.confidence)), "{text:?}");
    let entities = enrichment.entities.iter().map(|one| (&one.text, one.confidence, one.begin, one.end));
    let phrases = enrichment.key_phrases.iter().map(|one| (&one.text, one.confidence, one.begin, one.end));
    for (span, confidence, begin, end) in entities.chain(phrases) {
        let cut: String = text.chars().skip(begin as usize).take(end.saturating_sub(begin) as usize).collect();
        assert_eq!(*span, cut, "characters {begin}..{end} of {text:?}");
        assert!(begin < end && is_share(confidence), "{text:?}: {span:?}");
    }
    let length = enrichment.embedding.iter().map(|x| x * x).sum::<f32>().sqrt();
    assert!(enrichment.embedding.is_empty() || (length - 1.0).abs() < 1e-3, "{text:?}: an embedding has length 1");
}

/// Numbers may differ by rounding, what they say may not.
fn same(text: &str, one: &Enrichment, other: &Enrichment) {
    assert_eq!(one.language.code, other.language.code, "{text:?}");
    assert_eq!(one.fingerprint, other.fingerprint, "{text:?}");
    assert_eq!(one.issues, other.issues, "{text:?}");
    let label = |enrichment: &Enrichment| enrichment.sentiment.map(|sentiment| sentiment.label);
    assert_eq!(label(one), label(other), "{text:?}");
    let names = |enrichment: &Enrichment| enrichment.entities.iter().map(|e| (e.begin, e.end)).collect::<Vec<_>>();
    assert_eq!(names(one), names(other), "{text:?}");
}

fn answers_threads_at_once(enricher: &dyn Enricher, posts: &[Post], answers: &[domain::Result<Enrichment>]) {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| enricher.enrich(posts))).collect();
        for thread in threads {
            let again = thread.join().expect("no panic");
            for ((post, one), other) in posts.iter().zip(answers).zip(&again) {
                if let (Ok(one), Ok(other)) = (one, other) {
                    same(&post.text, one, other);
                }
                assert_eq!(one.is_ok(), other.is_ok(), "{:?}", post.text);
            }
        }
    });
}

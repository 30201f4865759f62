//! The promises of [`Translator`].

use domain::{ErrorKind, Translator, Untranslated};

/// Runs every promise. The engine has to know German (`de`) and Spanish (`es`), and not Klingon (`tlh`).
pub fn translator(translator: &dyn Translator) {
    assert!(answers(translator, &[]).is_empty(), "no texts, no answers");
    let text = |language: &'static str, text: &'static str| Untranslated { text, language };
    let texts = [text("de", "eins"), text("es", "uno"), text("tlh", "wa'"), text("de", "zwei"), text("de", "eins")];
    let together = answers(translator, &texts);
    assert_eq!(together.len(), texts.len(), "one answer per text");
    for (text, answer) in texts.iter().zip(&together) {
        assert_eq!(
            answers(translator, std::slice::from_ref(text)),
            std::slice::from_ref(answer),
            "{text:?} is answered in order, as alone"
        );
    }
    assert_eq!(together[2], Err(ErrorKind::Reject), "a language that the engine doesn't know is rejected");
    for at in [0, 1, 3, 4] {
        let english = together[at].as_ref().expect("one rejected text spoils no other");
        assert!(!english.trim().is_empty(), "{:?}", texts[at]);
    }
    assert_eq!(together[0], together[4], "equal texts have equal answers");
    assert_ne!(together[0], together[3], "another text has another answer");
}

/// Runs the promise of an engine that can't answer now.
pub fn translator_that_is_down(translator: &dyn Translator) {
    let answers = answers(translator, &[Untranslated { text: "eins", language: "de" }; 2]);
    assert_eq!(answers, [Err(ErrorKind::Retry), Err(ErrorKind::Retry)], "an engine that is down is asked again");
}

fn answers(translator: &dyn Translator, texts: &[Untranslated<'_>]) -> Vec<Result<String, ErrorKind>> {
    translator.translate(texts).into_iter().map(|answer| answer.map_err(|error| error.kind())).collect()
}

//! What must hold for the enrichment of any text.

use domain::Enrichment;

/// Offsets cut the original, entities lie side by side, scores are probabilities.
pub(crate) fn check(text: &str, found: &Enrichment) {
    let characters: Vec<char> = text.chars().collect();
    let cut = |begin: u32, end: u32| characters[begin as usize..end as usize].iter().collect::<String>();
    for entity in &found.entities {
        assert!(entity.begin < entity.end);
        assert_eq!(cut(entity.begin, entity.end), entity.text);
        assert!((0.0..=1.0).contains(&entity.confidence));
    }
    for pair in found.entities.windows(2) {
        assert!(pair[0].end <= pair[1].begin, "{pair:?} overlap");
    }
    for phrase in &found.key_phrases {
        assert_eq!(cut(phrase.begin, phrase.end), phrase.text);
    }
    if let Some(s) = found.sentiment {
        assert!((s.positive + s.negative + s.neutral + s.mixed - 1.0).abs() < 1e-4);
    }
    if !found.embedding.is_empty() {
        let norm: f32 = found.embedding.iter().map(|v| v * v).sum();
        assert!((norm - 1.0).abs() < 1e-4, "{norm}");
    }
}

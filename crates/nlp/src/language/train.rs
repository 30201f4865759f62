//! How the tables of the second opinion are made from posts whose language is known. Pure: texts in, bytes out; the
//! example `train_language` does the reading and writing.

use super::evidence::Evidence;
use super::latin::{self, REST};
use crate::linear::{Example, Linear, Training, train};
use crate::text::scan;

/// Rows of the table as a power of two: 2^15 rows of 9 classes are 295 kB.
const BITS: u32 = 15;
const L2: f32 = 2e-6;
/// Posts of the Hindi sample are half English in truth; whoever reads as English in this many parts of three is.
const PARTS: usize = 3;

/// A post and the code of its language, `xx` for one without a class of its own.
pub struct Sample {
    pub text: String,
    pub code: String,
}

/// Trains the tables. Posts in other scripts are left out; posts that claim to be Hindi and read as English are taken
/// for English, for that is what they are.
pub fn latin_tables(samples: &[Sample]) -> Vec<u8> {
    let mut classes: Vec<String> = samples.iter().map(|s| s.code.clone()).collect();
    classes.sort();
    classes.dedup();
    let mut examples: Vec<Example> = samples.iter().filter_map(|sample| example(sample, &classes)).collect();
    let class = |code: &str| classes.iter().position(|c| c == code);
    if let (Some(hindi), Some(english)) = (class("hi"), class("en")) {
        relabel(&mut examples, hindi, english);
        relabel(&mut examples, hindi, english);
    }
    balance(&mut examples, classes.len());
    let model = fit(&examples, classes.len(), 80);
    latin::encode(&model, &classes, BITS)
}

fn example(sample: &Sample, classes: &[String]) -> Option<Example> {
    let evidence = Evidence::read(&sample.text, &scan(&sample.text));
    let class = classes.iter().position(|c| *c == sample.code)?;
    (evidence.latin && evidence.letters >= 3).then(|| Example {
        features: latin::features(&evidence.words, BITS),
        class,
        weight: 1.0,
    })
}

fn fit(examples: &[Example], classes: usize, iterations_max: usize) -> Linear {
    train(examples, Training { classes, width: 1 << BITS, l2: L2, iterations_max })
}

/// Gives posts of `from` that a model trained on the other parts takes for `to` to `to`.
fn relabel(examples: &mut [Example], from: usize, to: usize) {
    let pair: Vec<usize> = (0..examples.len()).filter(|&i| [from, to].contains(&examples[i].class)).collect();
    let mut moved = Vec::new();
    for part in 0..PARTS {
        let learn: Vec<Example> = pair
            .iter()
            .enumerate()
            .filter(|(order, _)| order % PARTS != part)
            .map(|(_, &i)| Example { class: usize::from(examples[i].class == from), ..examples[i].clone() })
            .collect();
        let model = fit(&learn, 2, 30);
        moved.extend(
            pair.iter()
                .enumerate()
                .filter(|(order, _)| order % PARTS == part)
                .map(|(_, &i)| i)
                .filter(|&i| examples[i].class == from && model.probabilities(&examples[i].features)[0] > 0.5),
        );
    }
    for i in moved {
        examples[i].class = to;
    }
}

/// Every class counts the same, whatever the number of its posts.
fn balance(examples: &mut [Example], classes: usize) {
    let mut counts = vec![0_usize; classes];
    examples.iter().for_each(|e| counts[e.class] += 1);
    let total = examples.len() as f32;
    for example in examples {
        example.weight = total / (classes * counts[example.class].max(1)) as f32;
    }
}

/// Sentences made of the stop words of languages without a class of their own: what little is needed for the tables to
/// know that there are other languages in Latin letters. Drawn by a counter, so always the same.
pub fn stop_word_samples(without: &[&str], per_language: usize) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    for code in stop_words::available_languages() {
        let words: Vec<&str> = stop_words::lookup(code).unwrap_or_default().to_vec();
        let latin = words.iter().filter(|w| w.chars().all(|c| c.is_ascii() || c < '\u{250}')).count();
        // `hinglish` is Hindi in Latin letters under a name of its own.
        if without.contains(code) || *code == "hinglish" || words.len() < 30 || latin * 10 < words.len() * 9 {
            continue;
        }
        for _ in 0..per_language {
            let length = 3 + next(10);
            let text = (0..length).map(|_| words[next(words.len())]).collect::<Vec<_>>().join(" ");
            samples.push(Sample { text, code: REST.into() });
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::super::latin::LatinModel;
    use super::*;

    #[test]
    fn tables_survive_the_way_to_bytes_and_back() {
        let sample = |text: &str, code: &str| Sample { text: text.into(), code: code.into() };
        let samples: Vec<Sample> = (0..20)
            .flat_map(|i| {
                [
                    sample(&format!("the train is late again today {}", ["now", "ok"][i % 2]), "en"),
                    sample(&format!("der zug ist heute wieder verspätet {}", ["jetzt", "gut"][i % 2]), "de"),
                ]
            })
            .collect();
        let bytes = latin_tables(&samples);
        let model = LatinModel::parse(&bytes).unwrap();
        assert_eq!(model.classes, ["de", "en"]);
        assert!(model.probabilities("der zug ist verspätet")[0] > 0.9);
        assert!(model.probabilities("the train is late")[1] > 0.9);
        assert!(LatinModel::parse(&bytes[..bytes.len() - 1]).is_err());
        assert!(LatinModel::parse(b"OLAT1").is_err());
        assert_eq!(bytes, latin_tables(&samples));
    }

    #[test]
    fn stop_word_sentences_leave_out_what_was_asked() {
        let samples = stop_word_samples(&["en"], 2);
        assert!(samples.len() > 20);
        assert!(samples.iter().all(|s| s.code == REST && !s.text.is_empty()));
    }
}

//! How well categories are told from few examples: `cargo run -p nlp --example eval_categories -- MODEL_DIR`. The reasons
//! of complaints to airlines (10 classes, 4,645 tweets), learned from 8, 16 and 64 examples a class and from descriptions
//! alone, told on all the others; the mean over five draws. Without a model folder n-grams are on their own.

#![expect(clippy::print_stdout, reason = "prints a table")]

use nlp::categories::{CategoryDefinition, CategoryHead, CategorySet, Embed, Evaluation, evaluate};
use nlp::understand::{Config, Understanding};
use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

const REASONS: [(&str, &str); 10] = [
    (
        "Customer Service Issue",
        "nobody answers the phone or helps, on hold for hours, rude or useless customer service",
    ),
    ("Late Flight", "the flight is delayed, we are waiting at the gate or on the tarmac, a missed connection"),
    ("Can't Tell", "disappointed with the airline, without saying why"),
    ("Cancelled Flight", "the flight was cancelled, passengers are stranded and need rebooking"),
    ("Lost Luggage", "the bag did not arrive, luggage is lost or delayed, baggage claim"),
    ("Bad Flight", "uncomfortable seat, no entertainment, no wifi, bad food, a dirty plane"),
    ("Flight Booking Problems", "the website or app fails, booking, reservation, tickets, points and fees"),
    ("Flight Attendant Complaints", "rude crew, flight attendants, gate agents or staff"),
    ("longlines", "a long line, waiting in a queue at check-in or security"),
    ("Damaged Luggage", "the suitcase was broken or damaged, things in the bag were destroyed"),
];
const DRAWS: u64 = 5;

/// A tweet with its class.
type Labelled = (String, usize);

fn main() -> Result<(), Box<dyn Error>> {
    let posts = read_posts()?;
    let cache = embeddings(&posts)?;
    let embed = |texts: &[&str]| -> nlp::Result<Vec<Vec<f32>>> {
        Ok(texts.iter().map(|text| cache.get(*text).cloned().unwrap_or_else(|| vec![0.0])).collect())
    };
    for per_class in [0, 8, 16, 64] {
        let started = Instant::now();
        let (mut sum, mut crossed, mut calibration) = (Evaluation::of(Vec::new(), []), 0.0, 0.0);
        (sum.accuracy, sum.macro_f1) = (0.0, 0.0);
        for seed in 0..DRAWS {
            let (set, rest) = draw(&posts, per_class, seed);
            let set = CategorySet { categories: set, other_below: 0.0 }.checked()?;
            let head = CategoryHead::build(&set, &embed)?;
            let (figures, gap) = told(&head, &rest, &embed)?;
            sum.accuracy += figures.accuracy / DRAWS as f32;
            sum.macro_f1 += figures.macro_f1 / DRAWS as f32;
            calibration += gap / DRAWS as f32;
            if per_class >= 8 {
                crossed += evaluate(&set, &embed)?.macro_f1 / DRAWS as f32;
            }
            if per_class == 16 && seed == 0 {
                for class in &figures.classes {
                    println!(
                        "    {:28} P {:.2} R {:.2} F1 {:.2} of {}",
                        class.name, class.precision, class.recall, class.f1, class.support
                    );
                }
            }
        }
        println!(
            "{per_class:3} a class: macro F1 {:.1}  accuracy {:.1}  calibration error {:.3}  (its own cross-validation says F1 {:.1})  {:.1} s a draw",
            100.0 * sum.macro_f1,
            100.0 * sum.accuracy,
            calibration,
            100.0 * crossed,
            started.elapsed().as_secs_f32() / DRAWS as f32
        );
    }
    Ok(())
}

/// Figures and calibration error on posts that the head has not seen.
fn told(head: &CategoryHead, rest: &[&Labelled], embed: &impl Embed) -> Result<(Evaluation, f32), Box<dyn Error>> {
    let mut pairs = Vec::new();
    let mut bins = [(0.0_f32, 0.0_f32); 10];
    for (text, class) in rest {
        let embedding = embed.embed(&[text.as_str()])?.remove(0);
        let category = head.classify(text, &embedding)?;
        let predicted = head.names().iter().position(|name| *name == category.label).unwrap_or(usize::MAX);
        let bin = &mut bins[((category.confidence * 10.0) as usize).min(9)];
        *bin = (bin.0 + category.confidence, bin.1 + f32::from(u8::from(predicted == *class)));
        pairs.push((*class, predicted));
    }
    let gap = bins.iter().map(|(sure, right)| (sure - right).abs()).sum::<f32>() / rest.len() as f32;
    Ok((Evaluation::of(head.names().to_vec(), pairs), gap))
}

/// So many examples a class, drawn by a seeded shuffle; a class that has fewer gives half of what it has.
fn draw(posts: &[Labelled], per_class: usize, seed: u64) -> (Vec<CategoryDefinition>, Vec<&Labelled>) {
    let mut order: Vec<usize> = (0..posts.len()).collect();
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    for i in (1..order.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(i, (state >> 33) as usize % (i + 1));
    }
    let of = |class: usize| posts.iter().filter(|(_, c)| *c == class).count();
    let mut examples: Vec<Vec<String>> = vec![Vec::new(); REASONS.len()];
    let mut rest = Vec::new();
    for i in order {
        let (text, class) = &posts[i];
        if examples[*class].len() < per_class.min(of(*class) / 2) {
            examples[*class].push(text.clone());
        } else {
            rest.push(&posts[i]);
        }
    }
    let define = |((name, description), examples): (&(&str, &str), Vec<String>)| CategoryDefinition {
        name: (*name).into(),
        description: (*description).into(),
        examples,
    };
    (REASONS.iter().zip(examples).map(define).collect(), rest)
}

fn read_posts() -> Result<Vec<Labelled>, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let data = std::env::var_os("OVERHEARD_DATA").map_or_else(|| root.join("../../../shared/data"), PathBuf::from);
    let mut texts: HashMap<String, String> = HashMap::new();
    for line in std::fs::read_to_string(data.join("airline/tweets.jsonl"))?.lines() {
        let tweet: serde_json::Value = serde_json::from_str(line)?;
        if let (Some(id), Some(text)) = (tweet["id"].as_str(), tweet["text"].as_str()) {
            texts.insert(id.into(), text.into());
        }
    }
    let mut posts = Vec::new();
    for line in std::fs::read_to_string(data.join("airline/labels.csv"))?.lines().skip(1) {
        let mut fields = line.split(',');
        let (id, reason) = (fields.next().unwrap_or_default(), fields.nth(3).unwrap_or_default());
        if let (Some(text), Some(class)) = (texts.get(id), REASONS.iter().position(|(name, _)| *name == reason)) {
            posts.push((text.clone(), class));
        }
    }
    Ok(posts)
}

fn embeddings(posts: &[Labelled]) -> Result<HashMap<String, Vec<f32>>, Box<dyn Error>> {
    let Some(dir) = std::env::args_os().nth(1) else {
        println!("no model folder given: n-grams alone");
        return Ok(posts.iter().map(|(text, _)| (text.clone(), vec![0.0])).collect());
    };
    let model = Understanding::load(&Config { model_dir: Some(dir.into()), ..Config::default() })?;
    let descriptions: Vec<String> =
        REASONS.iter().map(|(name, description)| format!("{name}: {description}")).collect();
    let texts: Vec<&str> =
        posts.iter().map(|(text, _)| text.as_str()).chain(descriptions.iter().map(String::as_str)).collect();
    let started = Instant::now();
    let embedded = model.embed(&texts)?;
    println!("{} embeddings in {:.1} s", texts.len(), started.elapsed().as_secs_f32());
    Ok(texts.into_iter().map(str::to_owned).zip(embedded).collect())
}

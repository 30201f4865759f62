//! The posts that say it best, and how the mentions spread: originals told from reposts and near-duplicates, so that one
//! post passed on by thousands is told from thousands of complaints.

use crate::wording::{bare, repeated, stems};
use domain::{ExamplePost, PostInWindow};
use std::collections::{HashMap, HashSet};

/// How mentions came about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spread {
    /// Posts that say something of their own.
    pub originals: u32,
    /// Reposts and near-duplicates of them.
    pub copies: u32,
    /// Size of the largest family of copies, its original included.
    pub largest: u32,
    pub authors: u32,
}

impl Spread {
    /// Most of the window is one post passed on.
    pub fn is_viral(&self) -> bool {
        let all = self.originals + self.copies;
        all >= 10 && self.largest * 2 > all
    }
}

/// What two posts share when they are one and the same message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Family<'a> {
    Fingerprint(i64),
    Post(&'a str),
    /// A wording that posts repeat within words of their own.
    Wording(usize),
}

/// Posts by the message that they pass on.
pub(crate) struct Families<'a>(HashMap<Family<'a>, Vec<&'a PostInWindow>>);

impl<'a> Families<'a> {
    /// Reposts belong to the post they pass on, near-duplicates to their fingerprint, and posts that mostly repeat the same
    /// words to that wording, with all that belongs to them.
    pub(crate) fn of(posts: &'a [PostInWindow]) -> Self {
        let prints: HashMap<&str, i64> =
            posts.iter().filter_map(|post| Some((post.post_id.as_str(), post.fingerprint?))).collect();
        let mut family: Vec<Family<'a>> = posts
            .iter()
            .map(|post| {
                let origin = post.repost_of.as_deref().unwrap_or(&post.post_id);
                let print = prints.get(origin).copied().or(post.fingerprint);
                print.map_or(Family::Post(origin), Family::Fingerprint)
            })
            .collect();
        let texts: Vec<Vec<String>> = posts.iter().map(|post| stems(&post.text)).collect();
        for (number, group) in repeated(&texts).into_iter().enumerate() {
            let joined: HashSet<Family<'a>> = group.into_iter().map(|post| family[post]).collect();
            family.iter_mut().filter(|one| joined.contains(one)).for_each(|one| *one = Family::Wording(number));
        }
        let mut families: HashMap<Family<'a>, Vec<&PostInWindow>> = HashMap::new();
        for (family, post) in family.into_iter().zip(posts) {
            families.entry(family).or_default().push(post);
        }
        Self(families)
    }

    pub(crate) fn spread(&self) -> Spread {
        let posts: Vec<&PostInWindow> = self.0.values().flatten().copied().collect();
        let originals = self.0.len() as u32;
        Spread {
            originals,
            copies: posts.len() as u32 - originals,
            largest: self.0.values().map(|family| family.len() as u32).max().unwrap_or(0),
            authors: posts.iter().filter_map(|post| post.author.as_deref()).collect::<HashSet<_>>().len() as u32,
        }
    }

    /// The words of the message that is passed on most, without names and links, as its shortest post has them.
    pub(crate) fn most_repeated(&self) -> Option<String> {
        let family = self.0.values().max_by_key(|family| (family.len(), std::cmp::Reverse(&family[0].post_id)))?;
        family.iter().map(|post| bare(&post.text)).min_by_key(|text| (text.chars().count(), text.clone()))
    }

    /// Up to three posts: each the one whose words are most typical of the window, less what the ones before said already.
    pub(crate) fn representative(&self) -> Vec<ExamplePost> {
        let families = &self.0;
        let words: HashMap<&str, HashSet<String>> =
            families.values().flatten().map(|post| (post.post_id.as_str(), words(&post.text))).collect();
        let mut heads: Vec<(&PostInWindow, u32)> = families
            .values()
            .filter_map(|family| {
                let head = family.iter().min_by_key(|post| (post.repost_of.is_some(), post.post_id.as_str()))?;
                Some((*head, family.len() as u32))
            })
            .collect();
        heads.sort_by(|a, b| a.0.post_id.cmp(&b.0.post_id));
        let mut frequency: HashMap<&str, f64> = HashMap::new();
        for (head, copies) in &heads {
            for word in &words[head.post_id.as_str()] {
                *frequency.entry(word).or_default() += 1.0 + f64::from(*copies).ln();
            }
        }
        let (mut chosen, mut said): (Vec<ExamplePost>, HashSet<&str>) = (Vec::new(), HashSet::new());
        while chosen.len() < 3 {
            let value = |(head, copies): &(&PostInWindow, u32)| {
                let words = &words[head.post_id.as_str()];
                let fresh: f64 =
                    words.iter().filter(|w| !said.contains(w.as_str())).map(|w| frequency[w.as_str()]).sum();
                // Long posts hold more words; the root keeps short clear ones in the race.
                fresh / (words.len() as f64 + 4.0).sqrt() * (1.0 + 0.2 * f64::from(*copies).ln())
            };
            let best = heads
                .iter()
                .filter(|(head, _)| !chosen.iter().any(|c| c.post_id == head.post_id))
                .max_by(|a, b| value(a).total_cmp(&value(b)));
            let Some((head, copies)) = best else { break };
            said.extend(words[head.post_id.as_str()].iter().map(String::as_str));
            chosen.push(ExamplePost {
                post_id: head.post_id.clone(),
                text: head.text.clone(),
                url: head.url.clone(),
                sentiment: head.sentiment.clone(),
                copies: *copies,
            });
        }
        chosen
    }
}

/// Words of more than three letters, without names called and links.
fn words(text: &str) -> HashSet<String> {
    text.split_whitespace()
        .filter(|word| !word.starts_with('@') && !word.starts_with("http"))
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase())
        .filter(|word| word.chars().count() > 3)
        .collect()
}

//! Sends dead letters through their parser again.

use domain::{
    Appended, Clock, DeadLetter, Error, Origin, PostQueue, Provenance, ReadPayload, Record, Replayed, Result, SourceId,
};

/// Letters replayed at once: bounds memory, with the queue's own limit in bytes.
const PAGE: usize = 100;

/// Why records of a source may not come in now; none: they may.
pub type Refusal<'a> = Box<dyn Fn(&str, &[Record]) -> Option<String> + Send + Sync + 'a>;

/// Replays dead letters.
pub struct Replay<'a> {
    pub queue: &'a dyn PostQueue,
    pub read: ReadPayload,
    pub refusal: Refusal<'a>,
    pub clock: &'a dyn Clock,
}

impl Replay<'_> {
    /// Appends what a letter holds to the queue; the letter itself is left where it is.
    pub async fn letter(&self, letter: &DeadLetter) -> Result<Replayed> {
        let origin = Origin {
            source: SourceId(letter.source.clone()),
            platform: letter.platform.clone(),
            // Letters of earlier versions do not say it.
            provenance: letter.provenance.unwrap_or(Provenance::File),
            received_at: self.clock.now(),
        };
        let read = (self.read)(letter.payload_format.as_deref(), &letter.payload, &origin);
        let rejection = read.rejections.into_iter().next();
        if let Some(reason) = rejection.or_else(|| (self.refusal)(&letter.source, &read.records)) {
            return Ok(Replayed { accepted: 0, reason: Some(reason) });
        }
        let answers = self.queue.append(read.records).await?;
        let accepted = answers.iter().filter(|answer| matches!(answer, Appended::Stored(_))).count() as u64;
        // The queue has seen the id before: whether its post was kept is not known, so the letter is not given up.
        let reason = match answers.iter().find(|answer| !matches!(answer, Appended::Stored(_))) {
            None => None,
            Some(Appended::Deleted) => Some("the post was deleted by its platform".to_owned()),
            Some(_) => {
                Some("a post with this id came in before; remove the letter if that one is the right one".to_owned())
            }
        };
        Ok(Replayed { accepted, reason })
    }

    /// Replays the letters with these ids (none: all); those that pass are taken out. Returns how many passed and failed.
    pub async fn letters(&self, ids: &[u64]) -> Result<(u64, u64)> {
        let (mut passed, mut failed) = (0, 0);
        let mut count = |has_passed| if has_passed { passed += 1 } else { failed += 1 };
        for id in ids {
            let letter = self.queue.find_dead_letter(*id).await?;
            count(self.one(&letter.ok_or_else(|| Error::reject(format!("there is no dead letter {id}")))?).await?);
        }
        let mut before = if ids.is_empty() { u64::MAX } else { 0 };
        loop {
            let page = self.queue.dead_letters_before(before, PAGE).await?;
            let Some(last) = page.last() else { return Ok((passed, failed)) };
            before = last.id;
            for letter in &page {
                count(self.one(letter).await?);
            }
        }
    }

    /// Replays a letter and takes it out when it passes.
    async fn one(&self, letter: &DeadLetter) -> Result<bool> {
        if self.letter(letter).await?.reason.is_some() {
            return Ok(false);
        }
        self.queue.remove_dead_letter(letter.id).await?;
        Ok(true)
    }
}

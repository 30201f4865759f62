//! The understanding stage: records on loan become enriched posts, or dead letters with a reason. Synchronous; it runs
//! on a blocking thread, and one bad post never spoils its batch.

use domain::topic::TopicMatcher;
use domain::{
    Author, DeadLetter, EnrichedPost, Enricher, Enrichment, EntityKind, Error, Geocoder, Leased, Post, PostId, Record,
    Result, Timestamp, Translator, Untranslated, macrolanguage,
};
use places::{Clues, Gazetteer, PostPlaces};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, RwLock};

/// What one lease became.
#[derive(Debug, Default)]
pub struct Understood {
    pub posts: Vec<EnrichedPost>,
    pub deletions: Vec<PostId>,
    pub rejected: Vec<DeadLetter>,
}

/// The engines of the stage. Topics can be replaced while it runs.
pub struct Understand {
    enricher: Arc<dyn Enricher>,
    gazetteer: &'static Gazetteer,
    /// An engine for places that is asked before the gazetteer.
    geocoder: Option<Arc<dyn Geocoder>>,
    translator: Option<Arc<dyn Translator>>,
    topics: RwLock<Arc<TopicMatcher>>,
    /// Authors whose posts are left out, as [`Author::key`] writes them.
    blocked: RwLock<Arc<HashSet<String>>>,
}

impl Understand {
    pub fn new(enricher: Arc<dyn Enricher>, gazetteer: &'static Gazetteer, topics: TopicMatcher) -> Self {
        let topics = RwLock::new(Arc::new(topics));
        Self { enricher, gazetteer, geocoder: None, translator: None, topics, blocked: RwLock::default() }
    }

    /// Asks this engine for places; while it can't answer, the embedded gazetteer does.
    pub fn with_geocoder(self, geocoder: Arc<dyn Geocoder>) -> Self {
        Self { geocoder: Some(geocoder), ..self }
    }

    /// Has this engine translate what is not English; without one such posts have no English.
    pub fn with_translator(self, translator: Arc<dyn Translator>) -> Self {
        Self { translator: Some(translator), ..self }
    }

    /// From now on posts are matched against these topics.
    pub fn set_topics(&self, topics: TopicMatcher) {
        *self.topics.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = Arc::new(topics);
    }

    /// From now on posts of these authors are left out, each as [`Author::key`] writes him.
    pub fn set_blocked(&self, authors: HashSet<String>) {
        *self.blocked.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = Arc::new(authors);
    }

    fn is_blocked(blocked: &HashSet<String>, post: &Post) -> bool {
        let author = post.author.iter().flat_map(|author| [&author.username, &author.id]).flatten();
        let is_named = |name: &String| {
            let name = Author::plain_name(name);
            blocked.contains(&Author::key(Some(&post.platform), &name)) || blocked.contains(&name)
        };
        !blocked.is_empty() && author.into_iter().any(is_named)
    }

    /// Understands the records of a lease. Posts that the same lease deletes or replaces are left out.
    #[tracing::instrument(level = "warn", name = "understand", skip_all, fields(records = records.len()))]
    pub fn records(&self, records: Vec<Leased>, now: Timestamp) -> Understood {
        let mut understood = Understood::default();
        for leased in &records {
            match &leased.record {
                Record::Deletion(deletion) => understood.deletions.push(deletion.id.clone()),
                Record::Post(post) => understood.deletions.extend(post.replaces.iter().cloned()),
            }
        }
        let gone: HashSet<&PostId> = understood.deletions.iter().collect();
        let kept = records.into_iter().filter_map(|leased| match leased.record {
            Record::Post(post) if !gone.contains(&post.id) => Some((leased.offset, *post)),
            _ => None,
        });
        let blocked = Arc::clone(&self.blocked.read().unwrap_or_else(|poisoned| poisoned.into_inner()));
        let (refused, kept): (Vec<_>, Vec<_>) = kept.partition(|(_, post)| Self::is_blocked(&blocked, post));
        metrics::counter!("overheard_blocked_posts_total").increment(refused.len() as u64);
        let (offsets, posts): (Vec<u64>, Vec<Post>) = kept.into_iter().unzip();
        let enrichments = self.enrich(&posts);
        for (offset, (post, enrichment)) in offsets.into_iter().zip(posts.into_iter().zip(enrichments)) {
            match enrichment {
                Ok(enrichment) => understood.posts.push(self.place_and_match(offset, post, enrichment, now)),
                Err(error) => understood.rejected.push(DeadLetter {
                    id: 0,
                    source: post.source.0,
                    platform: post.platform,
                    reason: format!("could not be understood: {error}"),
                    payload: post.payload,
                    payload_format: post.payload_format,
                    provenance: Some(post.provenance),
                    occurred_at: now,
                }),
            }
        }
        understood
    }

    /// Understands posts outside the queue (`reprocess`, `analyze`); offsets are 0.
    pub fn posts(&self, posts: Vec<Post>, now: Timestamp) -> Vec<Result<EnrichedPost>> {
        let enrichments = self.enrich(&posts);
        posts
            .into_iter()
            .zip(enrichments)
            .map(|(post, enrichment)| Ok(self.place_and_match(0, post, enrichment?, now)))
            .collect()
    }

    /// Name and version of the model that speaks.
    pub fn model(&self) -> &str {
        self.enricher.model()
    }

    /// A panic in the engine costs the post that caused it, not its batch: then each is tried alone.
    fn enrich(&self, posts: &[Post]) -> Vec<Result<Enrichment>> {
        if let Some(geocoder) = &self.geocoder {
            geocoder.prepare(
                &posts
                    .iter()
                    .flat_map(|post| [profile(post), post.place_name.as_deref()])
                    .flatten()
                    .collect::<Vec<_>>(),
            );
        }
        let mut enrichments = match catch_unwind(AssertUnwindSafe(|| self.enricher.enrich(posts))) {
            Ok(answers) if answers.len() == posts.len() => answers,
            _ => posts.iter().map(|post| self.enrich_alone(post)).collect(),
        };
        self.translate(posts, &mut enrichments);
        enrichments
    }

    /// Gives posts in a known language other than English their English, or says why they have none.
    fn translate(&self, posts: &[Post], enrichments: &mut [Result<Enrichment>]) {
        let Some(translator) = &self.translator else { return };
        let (mut texts, mut places) = (Vec::new(), Vec::new());
        for (place, (post, enrichment)) in posts.iter().zip(enrichments.iter()).enumerate() {
            if let Ok(Enrichment { language, text_en: None, .. }) = enrichment
                && language.code != "und"
            {
                texts.push(Untranslated { text: &post.text, language: &language.code });
                places.push(place);
            }
        }
        let answers = translator.translate(&texts);
        for (place, answer) in places.into_iter().zip(answers) {
            if let Ok(enrichment) = &mut enrichments[place] {
                match answer {
                    Ok(english) => enrichment.text_en = Some(english),
                    Err(error) => enrichment.issues.push(format!("translation: {error}")),
                }
            }
        }
    }

    fn enrich_alone(&self, post: &Post) -> Result<Enrichment> {
        catch_unwind(AssertUnwindSafe(|| self.enricher.enrich(std::slice::from_ref(post))))
            .ok()
            .and_then(|mut answers| answers.pop())
            .unwrap_or_else(|| Err(Error::reject("the language engine failed on this text")))
    }

    /// The places of a post, and why the engine that was to be asked did not find them.
    fn places(&self, clues: &Clues<'_>) -> (PostPlaces, Option<String>) {
        let asked = self.geocoder.as_ref().map(|engine| places::of_post(engine.as_ref(), clues));
        let issue = match asked {
            Some(Ok(found)) => return (found, None),
            Some(Err(error)) => Some(format!("places by the embedded gazetteer: {error}")),
            None => None,
        };
        (places::of_post(self.gazetteer, clues).unwrap_or_default(), issue)
    }

    fn place_and_match(&self, offset: u64, post: Post, mut enrichment: Enrichment, now: Timestamp) -> EnrichedPost {
        let named: Vec<&str> = enrichment
            .entities
            .iter()
            .filter(|entity| entity.kind == EntityKind::Location)
            .map(|entity| entity.text.as_str())
            .collect();
        let clues = Clues {
            geotag: post.coordinates,
            place_name: post.place_name.as_deref(),
            entities: &named,
            profile: profile(&post),
            language: Some(macrolanguage(&enrichment.language.code)),
        };
        let (found, issue) = self.places(&clues);
        enrichment.issues.extend(issue);
        let matcher = self.topics.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        let topics = matcher.matches(&post, Some(&enrichment.language.code));
        EnrichedPost {
            offset,
            topics,
            place: found.place,
            author_place: found.author_place,
            enrichment,
            post,
            enriched_at: now,
        }
    }
}

/// The author's location line.
fn profile(post: &Post) -> Option<&str> {
    post.author.as_ref()?.location.as_deref()
}

//! The live stream: posts in view as they are committed, by server-sent events. A reader who is too slow, or a source
//! that is too fast, is told how many posts were left out: a page can show only so many a second.

use super::{Viewer, post::PostView};
use crate::app::{App, LivePosts};
use crate::auth::{Pass, who_has};
use crate::error::Error;
use crate::filter::{Filter, FilterParams};
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use domain::{EnrichedPost, Selection};
use futures::Stream;
use serde::Serialize;
use std::cmp::Reverse;
use std::convert::Infallible;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use utoipa::ToSchema;

/// Events go out at most this often.
const PAUSE: Duration = Duration::from_millis(500);
/// Posts in one event.
const POSTS_MAX: usize = 20;
/// A stream ends after this long; browsers connect again.
const LENGTH_MAX: Duration = Duration::from_secs(1800);
/// How often a stream looks whether its reader may still read: changes in this process are told at once, this is for
/// those of other processes and for what expires.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Data of each `posts` event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LiveEvent {
    /// The newest first, at most twenty.
    posts: Vec<PostView>,
    /// Posts in view that came since the last event, those left out included.
    matched: u64,
    /// Posts that came since the last event, in view or not.
    received: u64,
    /// Version of the lake: numbers asked for now include these posts.
    version: u64,
}

/// Matching posts as they arrive: server-sent events named `posts`.
#[utoipa::path(get, path = "/api/live", tag = "posts", params(FilterParams),
    responses((status = 200, content_type = "text/event-stream", body = String)))]
pub(crate) async fn live(
    State(app): State<Arc<App>>,
    Viewer(who): Viewer,
    filter: Filter,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Error> {
    let place = Place::take(&app, who.name)?;
    let reader = Reader {
        posts: app.live.subscribe(),
        ends_at: Instant::now() + LENGTH_MAX,
        next_at: Instant::now(),
        look_at: Instant::now() + LOOK_EVERY,
        rights: app.accounts.changes(),
        pass: who.pass,
        app,
        selection: filter.selection,
        _place: place,
    };
    let stream = futures::stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok(event), reader))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

/// One of the limited number of open streams, given back when the stream ends.
struct Place {
    app: Arc<App>,
    user: String,
}

impl Place {
    fn take(app: &Arc<App>, user: String) -> Result<Self, Error> {
        let mut streams = app.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if streams.values().sum::<usize>() >= app.config.streams_max {
            return Err(Error::too_many("Too many live streams are open.", 30));
        }
        let own = streams.entry(user.clone()).or_default();
        if *own >= app.config.streams_per_user_max {
            return Err(Error::too_many("You have too many live streams open; close a page.", 30));
        }
        *own += 1;
        Ok(Self { app: Arc::clone(app), user })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut streams = self.app.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = streams.get_mut(&self.user) {
            *own -= 1;
        }
        streams.retain(|_, own| *own > 0);
    }
}

struct Reader {
    app: Arc<App>,
    selection: Selection,
    posts: Receiver<LivePosts>,
    next_at: Instant,
    ends_at: Instant,
    /// Who reads, and word of those who may have lost a right.
    pass: Pass,
    rights: watch::Receiver<()>,
    look_at: Instant,
    _place: Place,
}

impl Reader {
    /// The next event; none when the stream ends.
    async fn next(&mut self) -> Option<Event> {
        let mut event = LiveEvent { posts: Vec::new(), matched: 0, received: 0, version: 0 };
        loop {
            let shutdown = self.app.shutdown.clone();
            tokio::select! {
                () = shutdown.cancelled() => return None,
                () = sleep_until(self.ends_at) => return None,
                _ = self.rights.changed() => if !self.may_read().await { return None },
                () = sleep_until(self.look_at) => if !self.may_read().await { return None },
                () = sleep_until(self.next_at), if event.received > 0 => break,
                received = self.posts.recv() => match received {
                    Ok(posts) => event.take(&posts, &self.selection),
                    Err(RecvError::Lagged(batches)) => tracing::debug!(batches, "live reader is too slow"),
                    Err(RecvError::Closed) => return None,
                },
            }
        }
        self.next_at = Instant::now() + PAUSE;
        event.version = self.app.answers.version();
        Event::default().event("posts").json_data(&event).ok()
    }
}

impl Reader {
    async fn may_read(&mut self) -> bool {
        self.look_at = Instant::now() + LOOK_EVERY;
        who_has(&self.app.accounts, &self.pass, self.app.clock.now()).await.is_ok()
    }
}

impl LiveEvent {
    fn take(&mut self, posts: &[EnrichedPost], selection: &Selection) {
        self.received += posts.len() as u64;
        for post in posts.iter().filter(|post| selection.matches(post)) {
            self.matched += 1;
            self.posts.push(PostView::of(&post.into(), None));
        }
        self.posts.sort_by_key(|post| Reverse(post.occurred_at));
        self.posts.truncate(POSTS_MAX);
    }
}

//! What this server does: it tells its version, queues jobs, and streams a long answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::routing::{get, post};
use futures_util::stream;

/// What all requests share.
pub(crate) struct Shared {
    version: String,
    generation: AtomicU64,
    jobs: Mutex<Vec<String>>,
}

impl Shared {
    pub(crate) fn new(version: String, generation: u64) -> Self {
        Self { version, generation: AtomicU64::new(generation), jobs: Mutex::default() }
    }

    /// Notes the new generation of a worker that took its scope back.
    pub(crate) fn activated_as(&self, generation: u64) {
        self.generation.store(generation, Ordering::SeqCst);
    }

    /// Takes the whole queue, one job a line: this process runs none of them any more.
    pub(crate) fn pack(&self) -> Vec<u8> {
        let jobs = std::mem::take(&mut *self.jobs.lock().unwrap_or_else(PoisonError::into_inner));
        jobs.into_iter().map(|job| job + "\n").collect::<String>().into_bytes()
    }

    /// Puts a packed queue before the jobs that are queued.
    pub(crate) fn put_back(&self, packed: &[u8]) {
        let mut jobs: Vec<String> = String::from_utf8_lossy(packed).lines().map(str::to_owned).collect();
        let mut queue = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.append(&mut queue);
        *queue = jobs;
    }

    fn who(&self) -> String {
        let (version, generation) = (&self.version, self.generation.load(Ordering::SeqCst));
        format!("version={version} generation={generation} pid={}\n", std::process::id())
    }
}

/// The routes.
pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(|State(shared): State<Arc<Shared>>| async move { shared.who() }))
        .route("/readyz", get(|| async { "ready\n" }))
        .route("/jobs", post(add).get(list))
        .route("/stream", get(tell))
        .with_state(shared)
}

async fn add(State(shared): State<Arc<Shared>>, job: String) -> &'static str {
    shared.jobs.lock().unwrap_or_else(PoisonError::into_inner).push(job);
    "queued\n"
}

async fn list(State(shared): State<Arc<Shared>>) -> String {
    let jobs = shared.jobs.lock().unwrap_or_else(PoisonError::into_inner);
    jobs.iter().flat_map(|job| [job.as_str(), "\n"]).collect()
}

/// The length of a stream, and the milliseconds between its chunks.
#[derive(serde::Deserialize)]
struct Story {
    chunks: u32,
    every: u64,
}

/// Streams the chunks, one each interval.
async fn tell(State(shared): State<Arc<Shared>>, Query(story): Query<Story>) -> Body {
    let beat = tokio::time::interval(Duration::from_millis(story.every.max(1)));
    Body::from_stream(stream::unfold((0, beat), move |(told, mut beat)| {
        let line = if told == 0 { shared.who() } else { format!("chunk {told}\n") };
        async move {
            if told == story.chunks {
                return None;
            }
            beat.tick().await;
            Some((Ok::<_, std::convert::Infallible>(line), (told + 1, beat)))
        }
    }))
}

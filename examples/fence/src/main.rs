//! A worker that counts its requests in a store, to which only the newest generation can write.
//!
//! Run `cargo build --release -p example-fence`, then `tenure ensure counter` in this directory. To see the fence:
//! `./example-fence 1` is a writer of generation 1 that does not notice that it is replaced; it counts once for each
//! line of its input. Once `tenure restart counter` has started generation 2, its writes fail.

use std::io::{BufRead, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tenure_worker::{BEAT, Status, Worker};

mod store;

use store::Store;

/// Beside the configuration, in the directory that the worker is started in.
const STORE: &str = "requests.db";

fn main() -> ExitCode {
    tenure_worker::init();
    match Worker::adopt() {
        Ok(Some(worker)) => run(worker),
        Ok(None) => match std::env::args().nth(1).map(|generation| generation.parse()) {
            Some(Ok(generation)) => write_late(generation),
            Some(Err(_)) | None => explain("this program is a worker: start it with `tenure ensure counter`"),
        },
        Err(error) => explain(&format!("failed to {error}")),
    }
}

/// What the requests share.
#[derive(Clone)]
struct App {
    store: Arc<Mutex<Store>>,
    generation: u64,
    status: Status,
}

/// The worker's life: claim the store, report ready, serve until it is asked to end, drain.
fn run(mut worker: Worker) -> ExitCode {
    let Some(listener) = worker.take_listener("http") else {
        return ExitCode::from(worker.fail("listen", "the spec has no listener named http"));
    };
    let generation = worker.generation();
    let store = match Store::claim(Path::new(STORE), generation) {
        Ok(store) => Arc::new(Mutex::new(store)),
        Err(error) => return ExitCode::from(worker.fail("store", &format!("failed to {error}"))),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return ExitCode::from(worker.fail("runtime", &error.to_string())),
    };
    let app = App { store, generation, status: worker.status() };
    if let Err(error) = worker.ready() {
        return explain(&format!("failed to {error}"));
    }
    let served = runtime.block_on(serve(TcpListener::from(listener), app));
    let code = worker.finish();
    if let Err(error) = served {
        return explain(&format!("failed to serve: {error}"));
    }
    ExitCode::from(code)
}

async fn serve(listener: TcpListener, app: App) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let (told, stop) = tokio::sync::oneshot::channel();
    // One thread, blocked in the kernel until the worker is asked to end.
    let status = app.status.clone();
    std::thread::spawn(move || drop(told.send(status.wait_for_stop())));
    // The heartbeat: a stuck runtime stops beating, and the worker reports that.
    let status = app.status.clone();
    tokio::spawn(async move {
        let mut beat = tokio::time::interval(BEAT);
        loop {
            beat.tick().await;
            status.beat();
        }
    });
    let routes = Router::new().route("/", get(count)).with_state(app);
    let listener = tokio::net::TcpListener::from_std(listener)?;
    axum::serve(listener, routes).with_graceful_shutdown(async { drop(stop.await) }).await
}

async fn count(State(app): State<App>) -> (StatusCode, String) {
    let store = Arc::clone(&app.store);
    let counted = tokio::task::spawn_blocking(move || {
        // A count that has panicked was rolled back.
        store.lock().unwrap_or_else(PoisonError::into_inner).count().map_err(|error| why(&error))
    });
    match counted.await.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(count) => (StatusCode::OK, format!("request {count}, counted by generation {}\n", app.generation)),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

/// A writer that has not noticed that it was replaced.
fn write_late(generation: u64) -> ExitCode {
    let mut store = match Store::claim(Path::new(STORE), generation) {
        Ok(store) => store,
        Err(error) => return explain(&format!("failed to {error}")),
    };
    for _ in std::io::stdin().lock().lines() {
        match store.count() {
            Ok(count) => say(&format!("request {count}, counted by generation {generation}")),
            Err(error) => return explain(&why(&error)),
        }
    }
    ExitCode::SUCCESS
}

/// An error with what it came from.
fn why(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(format!("failed to {error}"), |told, cause| format!("{told}: {cause}"))
}

fn say(text: &str) {
    // Whoever does not listen any more misses nothing that is needed.
    drop(writeln!(std::io::stdout(), "{text}"));
}

#[expect(clippy::print_stderr, reason = "a program that cannot run says why")]
fn explain(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::FAILURE
}

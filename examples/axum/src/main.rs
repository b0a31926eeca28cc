//! An axum server that is its own worker: it takes the listener that its launcher bound, and ends when it is asked to.
//!
//! `tenure ensure hello` in this directory, after `cargo build --release -p example-axum`.

use std::net::TcpListener;
use std::process::ExitCode;

use axum::Router;
use axum::routing::get;
use tenure_worker::{BEAT, Status, StopRequest, Worker};

fn main() -> ExitCode {
    tenure_worker::init();
    match Worker::adopt() {
        Ok(Some(worker)) => run(worker),
        Ok(None) => explain("this program is a worker: start it with `tenure ensure hello`"),
        Err(error) => explain(&format!("failed to {error}")),
    }
}

/// The worker's life: build the app, say that it serves, serve until asked to end, drain.
fn run(mut worker: Worker) -> ExitCode {
    let Some(listener) = worker.take_listener("http") else {
        return ExitCode::from(worker.fail("listen", "the spec has no listener named http"));
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return ExitCode::from(worker.fail("runtime", &error.to_string())),
    };
    let generation = worker.generation();
    let app = Router::new()
        .route("/", get(move || async move { format!("hello from generation {generation}\n") }))
        .route("/readyz", get(|| async { "ready\n" }));
    if let Err(error) = worker.ready() {
        return explain(&format!("failed to {error}"));
    }
    let served =
        runtime.block_on(serve(TcpListener::from(listener), app, worker.status(), stop_asked(&worker)));
    let code = worker.finish();
    if let Err(error) = served {
        return explain(&format!("failed to serve: {error}"));
    }
    ExitCode::from(code)
}

async fn serve(
    listener: TcpListener,
    app: Router,
    status: Status,
    stop: tokio::sync::oneshot::Receiver<StopRequest>,
) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    // The heartbeat: a runtime that is stuck stops beating, and the worker says so.
    tokio::spawn(async move {
        let mut beat = tokio::time::interval(BEAT);
        loop {
            beat.tick().await;
            status.beat();
        }
    });
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let asked = async { drop(stop.await) };
    axum::serve(listener, app).with_graceful_shutdown(asked).await
}

/// Tells the runtime when the worker is asked to end: one thread, blocked in the kernel until then.
fn stop_asked(worker: &Worker) -> tokio::sync::oneshot::Receiver<StopRequest> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let status = worker.status();
    std::thread::spawn(move || drop(sender.send(status.wait_for_stop())));
    receiver
}

#[expect(clippy::print_stderr, reason = "a program that cannot run says why")]
fn explain(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::FAILURE
}

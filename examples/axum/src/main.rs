//! An axum server that is its own worker: it takes the listener that its launcher bound, hands over to a newer version
//! without refusing a connection or losing a job, and ends when it is asked to.
//!
//! Run `cargo build --release -p example-axum`, then `tenure ensure hello` in this directory; then `tenure restart
//! hello` as often as you like while clients send requests.

use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;

use tenure_worker::{BEAT, Status, StopRequest, Worker};

mod app;
mod room;

use app::Shared;
use room::{Room, Server};

fn main() -> ExitCode {
    tenure_worker::init();
    match Worker::adopt() {
        Ok(Some(worker)) => run(worker),
        Ok(None) => explain("this program is a worker: start it with `tenure ensure hello`"),
        Err(error) => explain(&format!("failed to {error}")),
    }
}

/// The worker's life: take the state of the worker before, accept, report ready, serve until it is asked to end, drain.
fn run(mut worker: Worker) -> ExitCode {
    let Some(listener) = worker.take_listener("http") else {
        return ExitCode::from(worker.fail("listen", "the spec has no listener named http"));
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return ExitCode::from(worker.fail("runtime", &error.to_string())),
    };
    let version = worker.handshake().spec.version.to_string();
    let shared = Arc::new(Shared::new(version, worker.generation()));
    shared.put_back(&worker.take_state());

    let server = Arc::new(Server::new(runtime.handle().clone(), Arc::clone(&shared)));
    if let Err(error) = server.accept(TcpListener::from(listener)) {
        return ExitCode::from(worker.fail("listen", &error.to_string()));
    }
    // From now on a newer version can take over.
    worker.set_takeover_hooks(Box::new(Room::new(Arc::clone(&server))));
    let stop = stop_asked(&worker);
    let status = worker.status();
    runtime.spawn(beat(status));
    // The server runs on this thread once the runtime does; connections wait until then.
    if let Err(error) = worker.ready() {
        explain(&format!("failed to {error}"));
        return ExitCode::from(worker.finish());
    }
    runtime.block_on(async {
        drop(stop.await);
        server.drain().await;
    });
    ExitCode::from(worker.finish())
}

/// The heartbeat: a stuck runtime stops beating, and the worker reports that.
async fn beat(status: Status) {
    let mut beat = tokio::time::interval(BEAT);
    loop {
        beat.tick().await;
        status.beat();
    }
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

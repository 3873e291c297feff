//! Listeners and connections, on a runtime of their own: one thread, and a few for what blocks. What a request asks of the
//! daemon runs on the daemon's runtime. What is costly there takes turns: two reads of the store and one exposition (see
//! `site`), each on a thread for what blocks, and one reload. Processors and disk are shared, so a request can delay a
//! probe; this is what bounds by how much.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::Limits;
use super::answer::{self, Reply};
use super::control::Control;
use super::crowd::{Crowd, Place};
use super::guard::Connection;
use super::listen::is_loopback;
use super::protection::{Guarded, Stamps};
use super::routes;
use super::site::Site;
use super::stall::Stalling;

/// Waits after an `accept` that failed: out of file descriptors, mostly.
const AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(100);
/// Threads for what blocks: hashes, files.
const BLOCKING_THREADS: usize = 3;
/// Headers of one request.
const MOST_HEADERS: usize = 64;

/// Everything that the web thread takes with it.
pub(super) struct Server {
    pub(super) listeners: Vec<std::net::TcpListener>,
    pub(super) site: Arc<Site>,
    pub(super) stamps: Stamps,
    pub(super) limits: Limits,
    pub(super) closing: watch::Receiver<bool>,
}

impl Server {
    /// Serves until it is told to close; blocks the thread.
    pub(super) fn run(self) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("web-blocking")
            .build()?;
        let served = runtime.block_on(self.serve());
        // A hash that is being computed is not waited for.
        runtime.shutdown_background();
        served
    }

    async fn serve(self) -> std::io::Result<()> {
        let Self {
            listeners,
            site,
            stamps,
            limits,
            closing,
        } = self;
        let guarded = Arc::clone(&site.guarded);
        let following = tokio::spawn(Arc::clone(&guarded).follow(stamps, limits.recheck));
        let shared = Arc::new(Shared {
            router: router(&site, limits),
            guarded,
            crowd: Arc::new(Crowd::new(limits.connections)),
            limits,
            closing: closing.clone(),
        });
        let mut accepting = JoinSet::new();
        for listener in listeners {
            let loopback = is_loopback(listener.local_addr()?);
            let listener = TcpListener::from_std(listener)?;
            accepting.spawn(accept(listener, loopback, Arc::clone(&shared)));
        }
        while accepting.join_next().await.is_some() {}
        following.abort();
        Ok(())
    }
}

/// What the connections share.
struct Shared {
    router: Router,
    guarded: Arc<Guarded>,
    crowd: Arc<Crowd>,
    limits: Limits,
    closing: watch::Receiver<bool>,
}

/// The routes, with what holds for every answer: a time limit, and the headers.
fn router(site: &Arc<Site>, limits: Limits) -> Router {
    let guarded = Arc::clone(&site.guarded);
    routes::router(site).layer(middleware::from_fn(move |request: Request, next: Next| {
        let guarded = Arc::clone(&guarded);
        async move {
            let mut reply: Reply = tokio::time::timeout(limits.request, next.run(request))
                .await
                .unwrap_or_else(|_| {
                    answer::problem(StatusCode::SERVICE_UNAVAILABLE, "this took too long")
                });
            answer::dress(reply.headers_mut(), &guarded.now().headers);
            reply
        }
    }))
}

/// Waits for the closing; whoever could still ask for it being gone is one, too.
async fn closed(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

/// Accepts until the closing, then waits for the connections, as long as they may take.
async fn accept(listener: TcpListener, loopback: bool, shared: Arc<Shared>) {
    let mut closing = shared.closing.clone();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = closed(&mut closing) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(place) = shared.crowd.enter(peer.ip()) else {
                    tracing::debug!(address = %peer.ip(), "refused: too many connections");
                    continue;
                };
                connections.spawn(connection(
                    stream,
                    peer,
                    loopback,
                    Arc::clone(&shared),
                    place,
                ));
            }
            Err(error) => {
                tracing::debug!(%error, "a connection cannot be accepted");
                tokio::time::sleep(AFTER_FAILED_ACCEPT).await;
            }
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(shared.limits.shutdown, ended).await;
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    loopback: bool,
    shared: Arc<Shared>,
    _place: Place,
) {
    let _ = stream.set_nodelay(true);
    let connection = Connection {
        address: peer.ip().to_canonical(),
        loopback,
    };
    let stream = Stalling::new(stream, shared.limits.stall);
    let Some(tls) = shared.guarded.now().tls.clone() else {
        return converse(stream, connection, &shared).await;
    };
    let handshake = TlsAcceptor::from(tls).accept(stream);
    // Whoever does not finish the handshake, or speaks no TLS, learns nothing.
    if let Ok(Ok(stream)) = tokio::time::timeout(shared.limits.header, handshake).await {
        converse(stream, connection, &shared).await;
    }
}

/// Answers request after request.
async fn converse<S>(stream: S, connection: Connection, shared: &Shared)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let routes = TowerToHyperService::new(shared.router.clone());
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(connection);
        let answered = routes.call(request.map(Body::new));
        async move { answered.await.map_err(|never: Infallible| never) }
    });
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        // From the end of one answer to the end of the next request's head: idle time and slow headers alike.
        .header_read_timeout(shared.limits.header)
        .max_buf_size(shared.limits.header_bytes.max(8192))
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut conversation = std::pin::pin!(conversation);
    let mut closing = shared.closing.clone();
    tokio::select! {
        // What a client does wrong on its connection is its own affair.
        _ = conversation.as_mut() => {}
        () = closed(&mut closing) => {
            conversation.as_mut().graceful_shutdown();
            let _ = conversation.await;
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

/// Serves on a thread of its own and waits for its end without blocking.
pub(super) async fn on_its_own_thread(server: Server) -> std::io::Result<()> {
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("web".to_owned())
        .spawn(move || {
            let _ = ended.send(server.run());
        })?;
    end.await
        .unwrap_or_else(|_| Err(std::io::Error::other("the web thread ended by a fault")))
}

/// Makes a [`Site`] for the runtime that this is called in.
pub(super) fn site(
    guarded: Guarded,
    settings: &super::Settings,
    control: Arc<dyn Control>,
) -> Arc<Site> {
    Arc::new(Site::new(
        Arc::new(guarded),
        settings.enable_lifecycle,
        settings.external_url.clone(),
        settings.route_prefix.clone(),
        control,
        tokio::runtime::Handle::current(),
    ))
}

//! The least that an HTTP server can do: axum, one route, and bytes that were there before anybody asked.

use axum::Router;
use axum::routing::get;
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use tokio::net::TcpListener;

use crate::Failure;
use crate::read::NAME;

/// Serves the bytes for ever, at the path at which Vestal serves the secret, once `announce` was told the address.
pub(crate) async fn serve(body: Bytes, announce: impl FnOnce(String)) -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    announce(listener.local_addr()?.to_string());
    let answer = move || {
        let body = body.clone();
        async move { ([(CONTENT_TYPE, "application/json; charset=utf-8")], body) }
    };
    let routes = Router::new().route(&format!("/secrets/{NAME}"), get(answer));
    let listener = listener.tap_io(|stream| {
        // As Vestal's listener does. Where it can't be set the measurement goes on, with slower answers.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, routes).await?;
    Ok(())
}

//! One HTTP connection: a request, its answer, and the next.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::health::Health;
use super::pages::{self, Page};
use super::request::{self, HEAD_MAX_BYTES, Request};
use crate::metrics;

/// For a head to arrive, once its first byte has, and for the first byte of a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two requests; longer than the interval of most scrapers.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// For the client to read a part of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Read at a time, bytes.
const READ_BYTES: usize = 1024;

/// Serves until either side is done. Whatever goes wrong ends the connection, and nobody needs to know.
pub(super) async fn serve(mut stream: TcpStream, health: &Arc<Health>, is_crowded: impl Fn() -> bool) {
    let mut unread = Vec::new();
    let mut patience = HEAD_TIMEOUT;
    loop {
        let length = match read_head(&mut stream, &mut unread, patience).await {
            Ok(Some(length)) => length,
            Ok(None) => return,
            Err(why) => return refuse(&mut stream, "431 Request Header Fields Too Large", why).await,
        };
        let head: Vec<u8> = unread.drain(..length).collect();
        let request = match request::parse(&head) {
            Ok(request) => request,
            Err(why) => return refuse(&mut stream, "400 Bad Request", why).await,
        };
        if request.has_body {
            return refuse(&mut stream, "413 Content Too Large", "no page here takes a body").await;
        }
        let close = request.close || is_crowded();
        if answer(&mut stream, &request, health, close).await.is_err() || close {
            let _ = stream.shutdown().await;
            return;
        }
        patience = IDLE_TIMEOUT;
    }
}

/// Reads until a whole head is there; answers its length, or nothing when the client is gone or keeps silent.
///
/// # Errors
/// When it is too large.
async fn read_head(
    stream: &mut TcpStream,
    unread: &mut Vec<u8>,
    patience: Duration,
) -> Result<Option<usize>, &'static str> {
    let mut deadline = Instant::now() + if unread.is_empty() { patience } else { HEAD_TIMEOUT };
    loop {
        if let Some(length) = request::head_length(unread) {
            return Ok(Some(length));
        }
        if unread.len() >= HEAD_MAX_BYTES {
            return Err("the head of the request is too large");
        }
        let mut part = [0; READ_BYTES];
        let was_empty = unread.is_empty();
        match timeout_at(deadline, stream.read(&mut part)).await {
            Ok(Ok(count)) if count > 0 => unread.extend_from_slice(&part[..count]),
            _ => return Ok(None),
        }
        if was_empty {
            deadline = Instant::now() + HEAD_TIMEOUT;
        }
    }
}

async fn answer(stream: &mut TcpStream, request: &Request<'_>, health: &Arc<Health>, close: bool) -> io::Result<()> {
    let is_head = request.method == "HEAD";
    if !is_head && request.method != "GET" {
        let page = Page::refusal("405 Method Not Allowed", "only GET and HEAD are answered here");
        return write_page(stream, &page, false, close).await;
    }
    let set = match request.path {
        "/metrics" => metrics::Set::Kafka,
        "/public_metrics" => metrics::Set::Redpanda,
        path => return write_page(stream, &pages::find(path, health), is_head, close).await,
    };
    write_metrics(stream, set, health, request, close).await
}

/// Streams a scrape, in HTTP's chunks to those who know them. To others its end is the end of the connection.
async fn write_metrics(
    stream: &mut TcpStream,
    set: metrics::Set,
    health: &Arc<Health>,
    request: &Request<'_>,
    close: bool,
) -> io::Result<()> {
    let mut head = head_lines("200 OK", metrics::CONTENT_TYPE, close);
    head.push_str(if request.is_1_1 { "Transfer-Encoding: chunked\r\n\r\n" } else { "\r\n" });
    write(stream, head.as_bytes()).await?;
    if request.method == "HEAD" {
        return Ok(());
    }
    let mut chunks = metrics::scrape(health, set).await;
    while let Some(chunk) = chunks.recv().await {
        if request.is_1_1 {
            write(stream, format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
            write(stream, &chunk).await?;
            write(stream, b"\r\n").await?;
        } else {
            write(stream, &chunk).await?;
        }
    }
    if request.is_1_1 { write(stream, b"0\r\n\r\n").await } else { Ok(()) }
}

async fn refuse(stream: &mut TcpStream, status: &'static str, why: &str) {
    // The connection ends in any case.
    let _ = write_page(stream, &Page::refusal(status, why), false, true).await;
    let _ = stream.shutdown().await;
}

async fn write_page(stream: &mut TcpStream, page: &Page, is_head: bool, close: bool) -> io::Result<()> {
    let mut text = head_lines(page.status, page.content_type, close);
    text.push_str(&format!("Content-Length: {}\r\n\r\n", page.body.len()));
    if !is_head {
        text.push_str(&page.body);
    }
    write(stream, text.as_bytes()).await
}

fn head_lines(status: &str, content_type: &str, close: bool) -> String {
    let connection = if close { "Connection: close\r\n" } else { "" };
    let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
    format!("HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nCache-Control: no-store\r\n{allow}{connection}")
}

async fn write(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    timeout(WRITE_TIMEOUT, stream.write_all(bytes)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

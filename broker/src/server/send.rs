//! Bytes on their way into a socket: from memory, many pieces per system call, or straight from the page cache.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;

use bytes::Bytes;
use rustix::fs::sendfile;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use storage::{FilePart, file_behind};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

/// How many chunks go into one system call; Linux takes 1024.
const MAX_SLICES: usize = 64;
/// Whether fewer bytes are a part of a file is not asked: the log hands over no such windows.
const FILE_MIN_BYTES: usize = 4096;

/// Where answers go.
pub(crate) trait Sink {
    /// Writes a part of `chunks`, which are not empty, as soon as there is room; answers how many bytes. Cancel-safe.
    ///
    /// # Errors
    /// The socket's, and the disk's.
    fn send(&mut self, chunks: &VecDeque<Bytes>) -> impl Future<Output = io::Result<usize>> + Send;
}

impl Sink for OwnedWriteHalf {
    /// What is a window into a file goes out without passing through this process.
    async fn send(&mut self, chunks: &VecDeque<Bytes>) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let (mut count, mut behind) = (0, None);
        for (slice, chunk) in slices.iter_mut().zip(chunks) {
            if chunk.len() >= FILE_MIN_BYTES {
                behind = file_behind(chunk).map(|part| (part, chunk.len()));
            }
            if behind.is_some() {
                break;
            }
            *slice = IoSlice::new(chunk);
            count += 1;
        }
        let memory = &slices[..count];
        match behind {
            None => self.write_vectored(memory).await,
            Some((part, length)) if memory.is_empty() => {
                let stream: &TcpStream = (*self).as_ref();
                stream.async_io(Interest::WRITABLE, || send_part(stream, &part, length)).await
            }
            // A file comes behind: what stands before it waits for that, so that it needs no packet of its own.
            Some(_) => {
                let stream: &TcpStream = (*self).as_ref();
                let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
                let send = || sendmsg(stream, memory, &mut SendAncillaryBuffer::default(), flags);
                stream.async_io(Interest::WRITABLE, || Ok(send()?)).await
            }
        }
    }
}

fn send_part(socket: impl AsFd, part: &FilePart, length: usize) -> io::Result<usize> {
    let mut position = part.position;
    match sendfile(socket, &*part.file, Some(&mut position), length)? {
        // The log knows that the file goes on.
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        sent => Ok(sent),
    }
}

#[cfg(test)]
impl Sink for tokio::io::DuplexStream {
    async fn send(&mut self, chunks: &VecDeque<Bytes>) -> io::Result<usize> {
        match chunks.front() {
            Some(chunk) => self.write(chunk).await,
            None => Ok(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use protocol::Uuid;
    use protocol::records::BatchBuilder;
    use storage::{AppendOrigin, LogConfig, LogDir, OsDisk, SharedLimits, TopicPartition};
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    /// Batches of a log that keeps nothing in memory.
    fn windows(path: &std::path::Path) -> Vec<Bytes> {
        let limits = SharedLimits { tail_cache_bytes: 0, ..SharedLimits::default() };
        let dir = LogDir::open(Arc::new(OsDisk), path, limits).unwrap();
        let partition = TopicPartition { topic: "t".into(), index: 0 };
        let config = LogConfig { timestamp_after_max_ms: None, ..LogConfig::default() };
        let log = dir.open_log(&partition, Uuid::from_random([1; 16]).unwrap(), config).unwrap();
        for value in 0..20 {
            let mut batch = BatchBuilder::new(0);
            batch.append(0, None, Some(&vec![value; 100_000]), &[]);
            log.append_as_leader(batch.build().freeze(), 0, AppendOrigin::Client, 0).unwrap();
        }
        (0..20)
            .flat_map(|offset| log.read_to_send(offset, 300_000, i64::MAX, true).unwrap().records.chunks().to_vec())
            .collect()
    }

    #[tokio::test]
    async fn what_is_in_files_and_in_memory_arrives_in_order() {
        let path = tempfile::tempdir().unwrap();
        let mut chunks: VecDeque<Bytes> = VecDeque::new();
        for window in windows(path.path()) {
            assert!(file_behind(&window).is_some());
            chunks.extend([Bytes::from_static(b"head"), window, Bytes::from_static(b"tail")]);
        }
        let expected = chunks.make_contiguous().concat();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (_reader, mut writer) = listener.accept().await.unwrap().0.into_split();
        let sending = tokio::spawn(async move {
            while let Some(front) = chunks.front() {
                let most: usize = chunks.iter().map(Bytes::len).sum();
                let mut sent = writer.send(&chunks).await.unwrap();
                assert!(sent > 0 && sent <= most && !front.is_empty());
                while let Some(front) = chunks.front_mut().filter(|_| sent > 0) {
                    let taken = sent.min(front.len());
                    sent -= taken;
                    bytes::Buf::advance(front, taken);
                    if front.is_empty() {
                        chunks.pop_front();
                    }
                }
            }
        });
        let mut arrived = Vec::new();
        client.read_to_end(&mut arrived).await.unwrap();
        sending.await.unwrap();
        assert!(arrived == expected);
    }
}

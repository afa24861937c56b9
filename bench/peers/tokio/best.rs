// SPDX-License-Identifier: MIT
//
// peer-tokio-best ADDR:PORT DIR: Tokio without an HTTP library, as fast as it goes in safe code:
// one thread, the files read once, one buffer a connection, a head beside its body in one writev.
// /1k, /64k, /1m and /16m are answered from memory, /wait/MS after MS milliseconds.

use std::io::{self, IoSlice, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const HEAD_MAX: usize = 2048;

struct Item {
    path: &'static [u8],
    media_type: &'static str,
    body: Vec<u8>,
}

fn load(directory: &str) -> io::Result<Vec<Item>> {
    let read = |path, name, media_type| -> io::Result<Item> {
        Ok(Item { path, media_type, body: std::fs::read(Path::new(directory).join(name))? })
    };
    Ok(vec![
        read(b"/1k", "1k.txt", "text/plain")?,
        read(b"/1m", "1m.bin", "application/octet-stream")?,
        read(b"/64k", "64k.bin", "application/octet-stream")?,
        read(b"/16m", "16m.bin", "application/octet-stream")?,
        Item { path: b"/wait/", media_type: "text/plain", body: b"waited\n".to_vec() },
    ])
}

/// The Date field, formatted once a second.
struct Date {
    second: u64,
    text: String,
}

impl Date {
    fn now(&mut self) -> &str {
        let now = SystemTime::now();
        let second = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if second != self.second {
            self.second = second;
            self.text = httpdate::fmt_http_date(now);
        }
        &self.text
    }
}

/// Where the head ends that begins the text, the empty line included.
fn end_of_head(text: &[u8]) -> Option<usize> {
    text.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn path_of(head: &[u8]) -> &[u8] {
    head.split(|&byte| byte == b' ').nth(1).unwrap_or(b"")
}

/// What a request asks for, after the wait that it may ask for.
async fn choose<'a>(items: &'a [Item], path: &[u8]) -> Option<&'a Item> {
    let item = items.iter().find(|item| path.starts_with(item.path))?;
    if item.path == b"/wait/" {
        let digits = std::str::from_utf8(&path[item.path.len()..]).unwrap_or("");
        tokio::time::sleep(Duration::from_millis(digits.parse().unwrap_or(0))).await;
    }
    Some(item)
}

async fn send(stream: &mut TcpStream, head: &[u8], body: &[u8]) -> io::Result<()> {
    let mut sent = stream.write_vectored(&[IoSlice::new(head), IoSlice::new(body)]).await?;
    if sent < head.len() {
        stream.write_all(&head[sent..]).await?;
        sent = head.len();
    }
    stream.write_all(&body[sent - head.len()..]).await
}

async fn talk(mut stream: TcpStream, items: Arc<Vec<Item>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; HEAD_MAX];
    let mut size = 0;
    let mut date = Date { second: 0, text: String::new() };
    let mut head = Vec::with_capacity(256);
    loop {
        while let Some(end) = end_of_head(&buffer[..size]) {
            head.clear();
            match choose(&items, path_of(&buffer[..end])).await {
                Some(item) => {
                    write!(
                        head,
                        "HTTP/1.1 200 OK\r\nDate: {}\r\nContent-Type: {}\r\n\
                         Content-Length: {}\r\n\r\n",
                        date.now(),
                        item.media_type,
                        item.body.len()
                    )?;
                    send(&mut stream, &head, &item.body).await?;
                }
                None => {
                    write!(
                        head,
                        "HTTP/1.1 404 Not Found\r\nDate: {}\r\nContent-Length: 0\r\n\r\n",
                        date.now()
                    )?;
                    stream.write_all(&head).await?;
                }
            }
            buffer.copy_within(end..size, 0);
            size -= end;
        }
        // 0 when the client has gone, and when a head is longer than the buffer.
        let count = stream.read(&mut buffer[size..]).await?;
        if count == 0 {
            return Ok(());
        }
        size += count;
    }
}

async fn serve(address: &str, items: Arc<Vec<Item>>) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let items = items.clone();
        tokio::spawn(async move {
            // A client that goes away in the middle is nobody's error.
            let _ = talk(stream, items).await;
        });
    }
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.len() != 3 {
        eprintln!("usage: peer-tokio-best ADDR:PORT DIR");
        std::process::exit(2);
    }
    let items = Arc::new(load(&arguments[2])?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(&arguments[1], items))
}

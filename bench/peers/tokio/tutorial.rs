// SPDX-License-Identifier: MIT
//
// peer-tokio ADDR:PORT DIR: Tokio without an HTTP library, as somebody writes it by the tutorial: a
// task a connection reads lines until an empty one, looks at the path, and writes the response in
// one piece. /1k is answered from memory, /wait/MS after MS milliseconds, every other path with
// the file of that name, read anew each time.

use std::borrow::Cow;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

struct Content {
    directory: String,
    small: Vec<u8>,
}

/// The Date field, formatted once a second.
struct Date {
    second: u64,
    text: String,
}

impl Date {
    fn new() -> Date {
        Date { second: 0, text: String::new() }
    }

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

/// The path of the next request; None when the client has gone.
async fn read_path(stream: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut first = String::new();
    let mut line = String::new();
    stream.read_line(&mut first).await?;
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
    }
    Ok(first.split(' ').nth(1).map(str::to_owned))
}

async fn body_of<'a>(content: &'a Content, path: &str) -> io::Result<Cow<'a, [u8]>> {
    if path == "/1k" {
        return Ok(Cow::Borrowed(&content.small));
    }
    if let Some(ms) = path.strip_prefix("/wait/") {
        tokio::time::sleep(Duration::from_millis(ms.parse().unwrap_or(0))).await;
        return Ok(Cow::Borrowed(b"waited\n"));
    }
    let name = path.rsplit('/').next().unwrap_or("");
    Ok(Cow::Owned(tokio::fs::read(Path::new(&content.directory).join(name)).await?))
}

async fn talk(stream: TcpStream, content: Arc<Content>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let mut date = Date::new();
    while let Some(path) = read_path(&mut stream).await? {
        let (status, body) = match body_of(&content, &path).await {
            Ok(body) => ("200 OK", body),
            Err(_) => ("404 Not Found", Cow::Borrowed(&b"not found\n"[..])),
        };
        let media_type =
            if path.ends_with(".bin") { "application/octet-stream" } else { "text/plain" };
        let mut response = format!(
            "HTTP/1.1 {status}\r\nDate: {}\r\nContent-Type: {media_type}\r\n\
             Content-Length: {}\r\n\r\n",
            date.now(),
            body.len()
        )
        .into_bytes();
        response.extend_from_slice(&body);
        stream.write_all(&response).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.len() != 3 {
        eprintln!("usage: peer-tokio ADDR:PORT DIR");
        std::process::exit(2);
    }
    let directory = arguments[2].clone();
    let small = std::fs::read(Path::new(&directory).join("1k.txt"))?;
    let content = Arc::new(Content { directory, small });
    let listener = TcpListener::bind(&arguments[1]).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let content = content.clone();
        tokio::spawn(async move {
            // A client that goes away in the middle is nobody's error.
            let _ = talk(stream, content).await;
        });
    }
}

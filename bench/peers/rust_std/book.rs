// SPDX-License-Identifier: MIT
//
// peer-rust-std ADDR:PORT DIR: Rust's standard library, as its book builds a web server, with
// connections kept: a thread a connection reads lines until an empty one, looks at the path, and
// writes the response in one piece. /1k is answered from memory, /wait/MS after MS milliseconds,
// every other path with the file of that name, read anew each time.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

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
fn read_path(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut first = String::new();
    let mut line = String::new();
    reader.read_line(&mut first)?;
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
    }
    Ok(first.split(' ').nth(1).map(str::to_owned))
}

fn body_of<'a>(content: &'a Content, path: &str) -> io::Result<Cow<'a, [u8]>> {
    if path == "/1k" {
        return Ok(Cow::Borrowed(&content.small));
    }
    if let Some(ms) = path.strip_prefix("/wait/") {
        thread::sleep(Duration::from_millis(ms.parse().unwrap_or(0)));
        return Ok(Cow::Borrowed(b"waited\n"));
    }
    let name = path.rsplit('/').next().unwrap_or("");
    Ok(Cow::Owned(std::fs::read(Path::new(&content.directory).join(name))?))
}

fn talk(mut stream: TcpStream, content: &Content) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut date = Date::new();
    while let Some(path) = read_path(&mut reader)? {
        let (status, body) = match body_of(content, &path) {
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
        stream.write_all(&response)?;
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.len() != 3 {
        eprintln!("usage: peer-rust-std ADDR:PORT DIR");
        std::process::exit(2);
    }
    let directory = arguments[2].clone();
    let small = std::fs::read(Path::new(&directory).join("1k.txt"))?;
    let content = Arc::new(Content { directory, small });
    let listener = TcpListener::bind(&arguments[1])?;
    for stream in listener.incoming() {
        let stream = stream?;
        let content = content.clone();
        thread::spawn(move || {
            // A client that goes away in the middle is nobody's error.
            let _ = talk(stream, &content);
        });
    }
    Ok(())
}

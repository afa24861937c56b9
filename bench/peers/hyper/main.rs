// SPDX-License-Identifier: MIT
//
// peer-hyper ADDR:PORT DIR: hyper as its own documentation has it, on one thread of Tokio. /1k,
// /64k, /1m and /16m are read at start and then only referred to (Bytes); /wait/MS is answered
// after MS milliseconds, every other path with the file of that name, read anew each time.

use hyper::body::Bytes;
use hyper::header::{HeaderValue, CONTENT_TYPE};
use hyper::service::{make_service_fn, service_fn};
use hyper::{Body, Request, Response, Server, StatusCode};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const FILES: [(&str, &str); 4] =
    [("/1k", "1k.txt"), ("/64k", "64k.bin"), ("/1m", "1m.bin"), ("/16m", "16m.bin")];

struct Content {
    directory: PathBuf,
    memory: Vec<(&'static str, &'static str, Bytes)>, // path, name, what is in it
}

impl Content {
    /// What is not there is not in memory: the older laboratory serves two of the files.
    fn read(directory: &str) -> Content {
        let directory = PathBuf::from(directory);
        let read = |(path, name): (&'static str, &'static str)| {
            let bytes = std::fs::read(directory.join(name)).ok()?;
            Some((path, name, Bytes::from(bytes)))
        };
        let memory = FILES.into_iter().filter_map(read).collect();
        Content { directory, memory }
    }

    async fn body_of(&self, path: &str) -> io::Result<(Body, &'static str)> {
        if let Some((_, name, bytes)) = self.memory.iter().find(|item| item.0 == path) {
            return Ok((Body::from(bytes.clone()), media_type(name)));
        }
        if let Some(ms) = path.strip_prefix("/wait/") {
            tokio::time::sleep(Duration::from_millis(ms.parse().unwrap_or(0))).await;
            return Ok((Body::from("waited\n"), "text/plain"));
        }
        let name = path.rsplit('/').next().unwrap_or("");
        let bytes = tokio::fs::read(self.directory.join(name)).await?;
        Ok((Body::from(bytes), media_type(name)))
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        match self.body_of(request.uri().path()).await {
            Ok((body, media_type)) => {
                let mut response = Response::new(body);
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
                response
            }
            Err(_) => {
                let mut missing = Response::new(Body::empty());
                *missing.status_mut() = StatusCode::NOT_FOUND;
                missing
            }
        }
    }
}

fn media_type(name: &str) -> &'static str {
    if name.ends_with(".bin") {
        "application/octet-stream"
    } else {
        "text/plain"
    }
}

async fn serve(address: SocketAddr, content: Arc<Content>) -> Result<(), hyper::Error> {
    let service = make_service_fn(move |_| {
        let content = content.clone();
        async move {
            Ok::<_, Infallible>(service_fn(move |request| {
                let content = content.clone();
                async move { Ok::<_, Infallible>(content.answer(request).await) }
            }))
        }
    });
    Server::try_bind(&address)?.tcp_nodelay(true).http1_only(true).serve(service).await
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.len() != 3 {
        eprintln!("usage: peer-hyper ADDR:PORT DIR");
        std::process::exit(2);
    }
    let address = arguments[1].parse()?;
    let content = Arc::new(Content::read(&arguments[2]));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(address, content))?;
    Ok(())
}

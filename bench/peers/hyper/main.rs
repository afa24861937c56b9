// SPDX-License-Identifier: MIT
//
// peer-hyper ADDR:PORT DIR: hyper as its own documentation has it, on one thread of Tokio. A path
// that begins with /1k is answered with 1 KiB, one with /1m with 1 MiB; both are read at start and
// then only referred to (Bytes), and the head has the fields of bare.h. leat's framework experiment
// measures beside it.

use hyper::body::Bytes;
use hyper::header::{HeaderValue, CONTENT_TYPE};
use hyper::service::{make_service_fn, service_fn};
use hyper::{Body, Request, Response, Server, StatusCode};
use std::convert::Infallible;
use std::net::SocketAddr;

#[derive(Clone)]
struct Content {
    small: Bytes,
    large: Bytes,
}

impl Content {
    fn read(directory: &str) -> std::io::Result<Content> {
        let read = |name| std::fs::read(format!("{directory}/{name}")).map(Bytes::from);
        Ok(Content { small: read("1k.txt")?, large: read("1m.bin")? })
    }

    fn answer(&self, request: Request<Body>) -> Response<Body> {
        let path = request.uri().path();
        let (body, media_type) = if path.starts_with("/1k") {
            (self.small.clone(), "text/plain")
        } else if path.starts_with("/1m") {
            (self.large.clone(), "application/octet-stream")
        } else {
            let mut missing = Response::new(Body::empty());
            *missing.status_mut() = StatusCode::NOT_FOUND;
            return missing;
        };
        let mut response = Response::new(Body::from(body));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        response
    }
}

async fn serve(address: SocketAddr, content: Content) -> Result<(), hyper::Error> {
    let service = make_service_fn(move |_| {
        let content = content.clone();
        async move {
            Ok::<_, Infallible>(service_fn(move |request| {
                let response = content.answer(request);
                async move { Ok::<_, Infallible>(response) }
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
    let content = Content::read(&arguments[2])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(address, content))?;
    Ok(())
}

// SPDX-License-Identifier: MIT
//
// peer-hyperlane ADDR:PORT DIR: Hyperlane as its documentation has it: a hook for each route, a
// middleware that sets the common fields, another that sends. /1k is answered from memory, as are
// the files of the directory below /memory/; /wait/MS after MS milliseconds; /NAME with the file
// of that name, read anew each time.

use hyperlane::{Context, RequestConfig, Server, ServerConfig, ServerControlHook, ServerHook};
use std::path::PathBuf;
use std::sync::{OnceLock, RwLock};
use std::time::{Duration, SystemTime};

const NAMES: [&str; 4] = ["1k.txt", "64k.bin", "1m.bin", "16m.bin"];

struct Content {
    directory: PathBuf,
    memory: Vec<(&'static str, Vec<u8>)>, // name, what is in it
}

static CONTENT: OnceLock<Content> = OnceLock::new();
static DATE: RwLock<String> = RwLock::new(String::new()); // formatted once a second

fn content() -> &'static Content {
    CONTENT.get().expect("set at start")
}

fn from_memory(name: &str) -> Option<&'static [u8]> {
    let item = content().memory.iter().find(|item| item.0 == name)?;
    Some(item.1.as_slice())
}

fn media_type(name: &str) -> &'static str {
    if name.ends_with(".bin") {
        "application/octet-stream"
    } else {
        "text/plain"
    }
}

fn answer(ctx: &mut Context, name: &str, body: Option<&[u8]>) {
    let response = ctx.get_mut_response();
    match body {
        Some(body) => response.set_header("Content-Type", media_type(name)).set_body(body),
        None => response.set_status_code(404).set_reason_phrase("Not Found"),
    };
}

struct CommonFields;

impl ServerHook for CommonFields {
    async fn new(_ctx: &mut Context) -> Self {
        Self
    }

    async fn handle(self, ctx: &mut Context) {
        let date = DATE.read().expect("nobody panics with it").clone();
        ctx.get_mut_response().set_header("Server", "hyperlane").set_header("Date", date);
    }
}

struct Dispatch;

impl ServerHook for Dispatch {
    async fn new(_ctx: &mut Context) -> Self {
        Self
    }

    async fn handle(self, ctx: &mut Context) {
        if ctx.try_send().await.is_err() {
            ctx.set_aborted(true).set_closed(true);
        }
    }
}

struct Small;

impl ServerHook for Small {
    async fn new(_ctx: &mut Context) -> Self {
        Self
    }

    async fn handle(self, ctx: &mut Context) {
        answer(ctx, "1k.txt", from_memory("1k.txt"));
    }
}

struct FromMemory {
    name: String,
}

impl ServerHook for FromMemory {
    async fn new(ctx: &mut Context) -> Self {
        Self { name: ctx.try_get_route_param("name").unwrap_or_default() }
    }

    async fn handle(self, ctx: &mut Context) {
        answer(ctx, &self.name, from_memory(&self.name));
    }
}

struct FromFile {
    name: String,
}

impl ServerHook for FromFile {
    async fn new(ctx: &mut Context) -> Self {
        Self { name: ctx.try_get_route_param("name").unwrap_or_default() }
    }

    async fn handle(self, ctx: &mut Context) {
        let body = tokio::fs::read(content().directory.join(&self.name)).await.ok();
        answer(ctx, &self.name, body.as_deref());
    }
}

struct Wait {
    ms: u64,
}

impl ServerHook for Wait {
    async fn new(ctx: &mut Context) -> Self {
        let text = ctx.try_get_route_param("ms").unwrap_or_default();
        Self { ms: text.parse().unwrap_or(0) }
    }

    async fn handle(self, ctx: &mut Context) {
        tokio::time::sleep(Duration::from_millis(self.ms)).await;
        answer(ctx, "", Some(b"waited\n".as_slice()));
    }
}

fn set_date() {
    let date = httpdate::fmt_http_date(SystemTime::now());
    *DATE.write().expect("nobody panics with it") = date;
}

async fn keep_date() {
    loop {
        set_date();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn load(directory: &str) -> std::io::Result<Content> {
    let directory = PathBuf::from(directory);
    let mut memory = Vec::new();
    for name in NAMES {
        memory.push((name, std::fs::read(directory.join(name))?));
    }
    Ok(Content { directory, memory })
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.len() != 3 {
        eprintln!("usage: peer-hyperlane ADDR:PORT DIR");
        std::process::exit(2);
    }
    let _ = CONTENT.set(load(&arguments[2]).expect("the content"));
    set_date();
    tokio::spawn(keep_date());

    let mut config = ServerConfig::default();
    config.set_address(&arguments[1]).set_nodelay(Some(true));
    let mut requests = RequestConfig::default();
    // Its word for "none": a connection is kept for ever.
    requests.set_read_timeout_ms(RequestConfig::low_security().get_read_timeout_ms());

    let mut server = Server::default();
    server.server_config(config).request_config(requests);
    server.request_middleware::<CommonFields>().response_middleware::<Dispatch>();
    server.route::<Small>("/1k").route::<FromMemory>("/memory/{name}");
    server.route::<FromFile>("/{name}").route::<Wait>("/wait/{ms}");
    let running: ServerControlHook = server.run().await.expect("cannot listen");
    running.wait().await;
}

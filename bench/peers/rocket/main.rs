// SPDX-License-Identifier: MIT
//
// peer-rocket DIR: Rocket as its guide has it; address, port and workers come from ROCKET_* in the
// environment. /1k, /64k, /1m and /16m are answered from memory, /wait/MS after MS milliseconds,
// every other path by Rocket's FileServer.

#[macro_use]
extern crate rocket;

use rocket::fs::FileServer;
use rocket::http::ContentType;
use rocket::tokio::time::{sleep, Duration};
use rocket::State;
use std::path::Path;
use std::sync::Arc;

struct Memory {
    small: Arc<[u8]>,
    kib_64: Arc<[u8]>,
    large: Arc<[u8]>,
    mib_16: Arc<[u8]>,
}

impl Memory {
    fn read(directory: &str) -> std::io::Result<Memory> {
        let read = |name| std::fs::read(Path::new(directory).join(name)).map(Arc::<[u8]>::from);
        Ok(Memory {
            small: read("1k.txt")?,
            kib_64: read("64k.bin")?,
            large: read("1m.bin")?,
            mib_16: read("16m.bin")?,
        })
    }
}

#[get("/1k")]
fn small(memory: &State<Memory>) -> (ContentType, Arc<[u8]>) {
    (ContentType::Plain, memory.small.clone())
}

#[get("/64k")]
fn kib_64(memory: &State<Memory>) -> Arc<[u8]> {
    memory.kib_64.clone()
}

#[get("/1m")]
fn large(memory: &State<Memory>) -> Arc<[u8]> {
    memory.large.clone()
}

#[get("/16m")]
fn mib_16(memory: &State<Memory>) -> Arc<[u8]> {
    memory.mib_16.clone()
}

#[get("/wait/<ms>")]
async fn wait(ms: u64) -> &'static str {
    sleep(Duration::from_millis(ms)).await;
    "waited\n"
}

#[launch]
fn rocket() -> _ {
    let Some(directory) = std::env::args().nth(1) else {
        eprintln!("usage: peer-rocket DIR");
        std::process::exit(2);
    };
    let memory = Memory::read(&directory).expect("the content");
    rocket::build()
        .manage(memory)
        .mount("/", routes![small, kib_64, large, mib_16, wait])
        .mount("/", FileServer::from(directory))
}

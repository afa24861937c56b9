// SPDX-License-Identifier: MIT
//
// server.js ADDR:PORT DIR: Node's http as its documentation has it. /1k is DIR's 1k.txt from a
// Buffer read at start, /wait/MS a line after MS milliseconds. A file is sent in one of three ways:
// /NAME by readFile, /stream/NAME by createReadStream, /memory/NAME from a Buffer, kept from the
// first request on.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { pipeline } = require('node:stream');

const KEEP_ALIVE_MS = 3600 * 1000; // as it comes a connection is closed after 5 s without a request

const [address, folder] = process.argv.slice(2);
if (folder === undefined) {
    console.error('usage: server.js ADDR:PORT DIR');
    process.exit(2);
}
const [host, port] = address.split(':');
const small = fs.readFileSync(path.join(folder, '1k.txt'));
const memory = new Map(); // a path -> the promise of its file

function succeed(response, type, size) {
    response.writeHead(200, { 'Content-Type': type, 'Content-Length': size });
}

function fail(response) {
    response.writeHead(404, { 'Content-Length': 0 });
    response.end();
}

function sendBuffer(response, data) {
    succeed(response, 'application/octet-stream', data.length);
    response.end(data);
}

function sendRead(response, file) {
    fs.readFile(file, (error, data) => {
        if (error)
            return fail(response);
        sendBuffer(response, data);
    });
}

function sendStream(response, file) {
    fs.stat(file, (error, status) => {
        if (error)
            return fail(response);
        succeed(response, 'application/octet-stream', status.size);
        pipeline(fs.createReadStream(file), response, () => {}); // an error has ended both
    });
}

function sendMemory(response, file) {
    if (!memory.has(file))
        memory.set(file, fs.promises.readFile(file));
    memory.get(file).then((data) => sendBuffer(response, data), () => fail(response));
}

function wait(response, ms) {
    setTimeout(() => {
        succeed(response, 'text/plain', 7);
        response.end('waited\n');
    }, ms);
}

function answer(request, response) {
    if (request.url === '/1k') {
        succeed(response, 'text/plain', small.length);
        response.end(small);
        return;
    }
    const name = path.basename(request.url);
    const file = path.join(folder, name);
    switch (path.dirname(request.url)) {
    case '/': return sendRead(response, file);
    case '/stream': return sendStream(response, file);
    case '/memory': return sendMemory(response, file);
    case '/wait': return wait(response, Number(name));
    default: return fail(response);
    }
}

http.createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, answer).listen(Number(port), host);

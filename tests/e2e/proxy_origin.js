// SPDX-License-Identifier: MIT
// A server of Node's for the stories of the proxy, on a port of its own, which it prints, or on the
// unix socket it is told. It ends when its standard input does. Its answers:
//
//     /body?size=N[&as=chunks|end]   N bytes, sized, chunked or until the connection ends
//     /seen                          what it was asked, as JSON: fields as they came, the body's
//                                    size and digest, the trailer
//     /echo                          the body itself, while it comes
//     /hints  /trailer  /events      103 first; a trailer; one event now, the next when asked
//     /next                          … which /events then sends
//     /refused                       no 100 and no look at the body: 403
//     /counts                        connections so far, requests so far
//
// An upgrade to "echo" becomes a tunnel that gives back what it gets; all others are refused.
'use strict';
const crypto = require('crypto');
const http = require('http');

// The same bytes as proxy_origins.pattern makes: nowhere the same within 4 MiB.
function pattern(size) {
  const words = new Uint32Array(Math.ceil(size / 4));
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i, 2654435761);
  return Buffer.from(words.buffer, 0, size);
}

let connections = 0, requests = 0, listening = [];

const routes = {
  '/body'(request, response, query) {
    const body = pattern(Number(query.get('size'))), as = query.get('as');
    if (as === 'end') {
      response.useChunkedEncodingByDefault = false;
      response.removeHeader('Connection');
      response.shouldKeepAlive = false;
    }
    if (!as) response.setHeader('Content-Length', body.length);
    for (let at = 0; at < body.length; at += 50000) response.write(body.subarray(at, at + 50000));
    response.end();
  },
  '/seen'(request, response) {
    const digest = crypto.createHash('sha256');
    let size = 0;
    request.on('data', piece => { digest.update(piece); size += piece.length; });
    request.on('end', () => response.end(JSON.stringify({
      method: request.method, url: request.url, version: request.httpVersion,
      fields: request.rawHeaders, size, digest: digest.digest('hex'),
      trailer: request.rawTrailers})));
  },
  '/echo'(request, response) { request.pipe(response); },
  '/hints'(request, response) {
    response.writeEarlyHints({link: '</style.css>; rel=preload; as=style'});
    response.end('after the hints');
  },
  '/trailer'(request, response) {
    response.writeHead(200, {Trailer: 'X-Sum'});
    response.write('summed up');
    response.addTrailers({'X-Sum': '9'});
    response.end();
  },
  '/events'(request, response) {
    response.writeHead(200, {'Content-Type': 'text/event-stream'});
    response.write('data: first\n\n');
    listening.push(response);
  },
  '/next'(request, response) {
    for (const other of listening) other.end('data: next\n\n');
    listening = [];
    response.end('sent');
  },
  '/refused'(request, response) { response.writeHead(403).end('no'); },
  '/counts'(request, response) { response.end(JSON.stringify({connections, requests})); },
};

function answer(request, response) {
  requests++;
  const url = new URL(request.url, 'http://origin');
  const route = routes[url.pathname];
  if (route) route(request, response, url.searchParams);
  else response.writeHead(404).end('none');
}

const server = http.createServer(answer);
server.keepAliveTimeout = Number(process.argv[3] || 60000);
server.on('connection', () => connections++);
server.on('checkContinue', (request, response) => {
  if (!request.url.startsWith('/refused')) response.writeContinue();
  answer(request, response);
});
server.on('upgrade', (request, socket, head) => {
  socket.on('error', () => {});
  if (request.headers.upgrade !== 'echo') {
    socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno');
    return;
  }
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
  if (head.length) socket.write(head);
  socket.pipe(socket);
});
server.listen(process.argv[2] || {host: '127.0.0.1', port: 0}, () => {
  console.log(process.argv[2] || server.address().port);
});
process.stdin.on('end', () => process.exit()).resume();

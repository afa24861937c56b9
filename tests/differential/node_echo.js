// SPDX-License-Identifier: MIT
//
// Node's HTTP server as a peer: answers each request with its method, its path and its body, so
// that what was understood can be compared. tests/e2e/echo_http.c gives the same answer.
'use strict';
const http = require('http');

// Of an absolute form what follows the host, of an asterisk nothing.
function pathOf(target) {
    if (target === '*')
        return '';
    const path = target.replace(/^https?:\/\/[^/?]*/i, '').replace(/\?[^]*$/, '');
    return path === '' ? '/' : path;
}

const server = http.createServer((request, response) => {
    const pieces = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => {
        const body = Buffer.concat(pieces);
        const start = `${request.method} ${pathOf(request.url)}\n${body.length}\n`;
        const text = Buffer.concat([Buffer.from(start, 'latin1'), body]);
        response.setHeader('Content-Type', 'text/plain');
        response.setHeader('Content-Length', text.length);
        response.end(text);
    });
    request.on('error', () => {});
});
server.httpAllowHalfOpen = true; // a client may shut its side and still wait for answers
server.keepAliveTimeout = 60000;
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit(0)); // its starter has gone
process.stdin.resume();

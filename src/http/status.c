/* SPDX-License-Identifier: MIT */
/*
 * The table of status lines.
 */
#include "http/status.h"

#include "base/slice.h"

#define LINE(text) SLICE("HTTP/1.1 " text "\r\n")

struct leat_slice status_line(int status)
{
    switch (status) {
    case 200: return LINE("200 OK");
    case 201: return LINE("201 Created");
    case 202: return LINE("202 Accepted");
    case 203: return LINE("203 Non-Authoritative Information");
    case 204: return LINE("204 No Content");
    case 205: return LINE("205 Reset Content");
    case 206: return LINE("206 Partial Content");
    case 300: return LINE("300 Multiple Choices");
    case 301: return LINE("301 Moved Permanently");
    case 302: return LINE("302 Found");
    case 303: return LINE("303 See Other");
    case 304: return LINE("304 Not Modified");
    case 307: return LINE("307 Temporary Redirect");
    case 308: return LINE("308 Permanent Redirect");
    case 400: return LINE("400 Bad Request");
    case 401: return LINE("401 Unauthorized");
    case 402: return LINE("402 Payment Required");
    case 403: return LINE("403 Forbidden");
    case 404: return LINE("404 Not Found");
    case 405: return LINE("405 Method Not Allowed");
    case 406: return LINE("406 Not Acceptable");
    case 407: return LINE("407 Proxy Authentication Required");
    case 408: return LINE("408 Request Timeout");
    case 409: return LINE("409 Conflict");
    case 410: return LINE("410 Gone");
    case 411: return LINE("411 Length Required");
    case 412: return LINE("412 Precondition Failed");
    case 413: return LINE("413 Content Too Large");
    case 414: return LINE("414 URI Too Long");
    case 415: return LINE("415 Unsupported Media Type");
    case 416: return LINE("416 Range Not Satisfiable");
    case 417: return LINE("417 Expectation Failed");
    case 421: return LINE("421 Misdirected Request");
    case 422: return LINE("422 Unprocessable Content");
    case 423: return LINE("423 Locked");
    case 424: return LINE("424 Failed Dependency");
    case 426: return LINE("426 Upgrade Required");
    case 428: return LINE("428 Precondition Required");
    case 429: return LINE("429 Too Many Requests");
    case 431: return LINE("431 Request Header Fields Too Large");
    case 451: return LINE("451 Unavailable For Legal Reasons");
    case 500: return LINE("500 Internal Server Error");
    case 501: return LINE("501 Not Implemented");
    case 502: return LINE("502 Bad Gateway");
    case 503: return LINE("503 Service Unavailable");
    case 504: return LINE("504 Gateway Timeout");
    case 505: return LINE("505 HTTP Version Not Supported");
    case 507: return LINE("507 Insufficient Storage");
    case 508: return LINE("508 Loop Detected");
    case 511: return LINE("511 Network Authentication Required");
    default: return slice_of(NULL, 0);
    }
}

struct leat_slice status_text(int status)
{
    const struct leat_slice line = status_line(status);
    if (!line.data)
        return SLICE("Status unknown");
    const size_t version_size = sizeof "HTTP/1.1 " - 1;
    return slice_of(line.data + version_size, line.size - version_size - 2);
}

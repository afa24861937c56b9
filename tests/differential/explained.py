# SPDX-License-Identifier: MIT
"""Why leat and its peers differ: every kind of difference, with the section that allows or forbids.

A rule is for one peer and some kinds of difference (compare.Difference); `when` sees the request as
RFC 9112 has it (strict.py) and both outcomes. A rule must be as narrow as its reason: what it lets
through is not looked at any more.
"""

import dataclasses
import re
from collections.abc import Callable

REFUSALS = {"0", "400", "411", "413", "414", "421", "431", "501", "505"}


@dataclasses.dataclass(frozen=True)
class Rule:
    peer: str
    name: str
    why: str
    kinds: str
    when: Callable


RULES = []


def rule(peer, name, kinds, when, why):
    RULES.append(Rule(peer, name, why, kinds, when))


def find(peer, request, difference):
    """The rule that explains it, or None."""
    for candidate in RULES:
        if candidate.peer == peer and difference.kind in candidate.kinds.split() and \
                candidate.when(request, difference):
            return candidate
    return None


# ---- What the rules ask ------------------------------------------------------------------------


def we_refuse(difference):
    return difference.ours in REFUSALS


def reason_is(pattern):
    """leat refuses, for this reason (of strict.py); the peer does not mind."""
    return lambda request, difference: we_refuse(difference) and \
        re.fullmatch(pattern, request.reason) is not None


def they_refuse(condition):
    """leat accepts what is right, or what the RFC leaves open; the peer does not."""
    return lambda request, difference: not we_refuse(difference) and condition(request)


def outcome(ours, theirs, condition=lambda request: True):
    """Of patterns, such as ("200", "206|416")."""
    return lambda request, difference: re.fullmatch(ours, difference.ours) is not None and \
        re.fullmatch(theirs, difference.theirs) is not None and condition(request)


def any_outcome(condition):
    return lambda request, _: condition(request)


def has_field(name, pattern=rb".*"):
    return lambda request: any(re.search(pattern, value, re.DOTALL | re.IGNORECASE)
                               for value in request.first.values(name))


def field_twice(*names):
    return lambda request: any(len(request.first.values(name)) > 1 for name in names)


DATE = rb"(?:[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT" \
    rb"|[A-Z][a-z]+day, \d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d GMT" \
    rb"|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4})"


def odd_date(name):
    """A date that is none (or, 31 Feb, cannot be)."""
    return lambda request: any(not re.fullmatch(DATE, value) or b"31 Feb" in value
                               for value in request.first.values(name))


def conditions_meet(request):
    """More than one condition, or a condition with a range: their order matters."""
    names = (b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since",
             b"if-range", b"range")
    return sum(bool(request.first.values(name)) for name in names) > 1


def is_last_broken(request):
    """A later request of the same bytes is refused, or its end does not come."""
    return len(request.messages) > 1 and \
        (request.messages[-1].status != 1 or request.messages[-1].body_reason != "")


def has_bytes_behind_close(request):
    last = request.messages[-1]
    return last.status == 1 and not last.keep_alive and \
        last.end not in (None, len(request.data))


# ---- nginx: heads ------------------------------------------------------------------------------

NGINX = "nginx"
for pattern, text in (
        ("bare-lf", "a bare LF ends nginx's lines (RFC 9112, 2.2: MAY); leat takes CRLF alone"),
        ("bare-cr", "nginx lets CR pass before CRLF and within values; RFC 9112, 2.2: it is to be "
                    "considered invalid or replaced"),
        ("control", "nginx lets controls other than NUL, CR and LF pass; RFC 9110, 5.5: the grammar"
                    " has none of them"),
        ("field-name", "nginx ignores lines whose names are no tokens (ignore_invalid_headers);"
                       " RFC 9110, 5.6.2"),
        ("fields", "leat's limit of 64 field lines; RFC 9110, 5.4 leaves it to the server"),
        ("line-size", "leat's limit of 8 KiB for the first line; RFC 9112, 3 asks for 8000"),
        ("head-size", "leat's limit of 16 KiB for the head; RFC 9110, 5.4"),
        ("host", "nginx looks for no more than separators in Host; RFC 9112, 3.2: an invalid one"
                 " MUST be 400"),
        ("method", "nginx skips any number of empty lines; RFC 9112, 2.2: at least one"),
        ("target", "nginx takes bytes from 0x80 up and '#' in targets; RFC 9112, 3.2: SHOULD be"
                   " 400"),
        ("version", "nginx forgives blanks in the request line and 1.10; RFC 9112, 3 and 2.3"),
        ("target-form", "nginx takes any scheme, hosts that are none, and paths for CONNECT;"
                        " RFC 9112, 3.2"),
        ("https", "RFC 9110, 7.4: an https target MUST be rejected on a plain connection")):
    rule(NGINX, f"accepts: {pattern}", "accepted", reason_is(pattern), text)

rule(NGINX, "refuses an empty host", "accepted",
     they_refuse(lambda request: any(re.fullmatch(rb"(:\d*)?|.*:", value)
                                     for value in request.first.values(b"host"))),
     "RFC 9112, 3.2 has a client send an empty Host for a URI without authority")
rule(NGINX, "refuses lengths twice", "accepted", they_refuse(field_twice(b"content-length")),
     "equal ones may be taken for one: RFC 9112, 6.3")
rule(NGINX, "refuses hosts with dots or ports it does not like", "accepted",
     they_refuse(has_field(b"host", rb"\.\.|\.$|^\.|:\d*:|:0*\d{6,}|[\[\]%!$&'()*+,;=~_]")),
     "RFC 3986, 3.2.2 allows any reg-name")
rule(NGINX, "refuses conditions twice", "accepted", they_refuse(field_twice(
    b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range",
    b"range", b"user-agent", b"referer", b"authorization", b"content-type", b"expect", b"cookie",
    b"te", b"upgrade", b"keep-alive", b"content-range", b"via", b"accept")),
     "nginx refuses singletons that come twice; RFC 9110, 5.3 lets lists be joined")
rule(NGINX, "reads a body before it answers GET", "accepted",
     they_refuse(lambda request: request.first.body_reason.startswith("bad")),
     "leat answers GET before the body is looked at, and closes behind a bad one: RFC 9112, 9.3")
rule(NGINX, "looks for words anywhere in Connection", "persisted count",
     any_outcome(has_field(b"connection", rb"[^a-z, -]|(?<![ ,])(close|keep-alive)(?![ ,]|$)"
                           rb"|(close|keep-alive)[^,]")),
     "its elements are tokens: RFC 9110, 7.6.1")
rule(NGINX, "names that begin with a dot are not there", "status accepted",
     outcome("404", ".*", lambda request: b"/." in request.target),
     "leat serves none, nginx does")
rule(NGINX, "a body too large", "accepted status refused",
     lambda request, difference: difference.theirs == "413" and request.first.length > 1 << 20,
     "leat serve reads no body before it answers; RFC 9110, 15.5.14")
rule(NGINX, "the last line of Connection counts", "persisted count",
     any_outcome(field_twice(b"connection")),
     "the lines are one list: RFC 9110, 5.3; close in any of them closes: RFC 9112, 9.3")
rule(NGINX, "knows no TAB around a value", "accepted status persisted", any_outcome(
    lambda request: request.has(rb"\r\n[A-Za-z-]+:( *\t|[^\r\n]*\t+\r\n)")),
     "OWS may be a tab: RFC 9110, 5.6.3")
rule(NGINX, "refuses methods with small letters or other signs", "accepted",
     they_refuse(lambda request: re.fullmatch(rb"[A-Z_-]+", request.method) is None),
     "a method is any token: RFC 9110, 9.1")
rule(NGINX, "refuses CONNECT and TRACE as such", "status accepted refused",
     any_outcome(lambda request: request.method in (b"CONNECT", b"TRACE")),
     "which methods there are is the server's choice: RFC 9110, 9.1")
rule(NGINX, "refuses paths that climb above the root", "status accepted refused",
     any_outcome(lambda request: b".." in request.target or b"%2e" in request.target.lower()),
     "leat: 404, nginx: 400; both stay below the root")
rule(NGINX, "refuses NUL and bad escapes in paths otherwise", "status accepted refused",
     any_outcome(lambda request: re.search(rb"%00|%(?![0-9A-Fa-f]{2})", request.target)),
     "both refuse; leat keeps the connection, for a bad path leaves no doubt about framing")
rule(NGINX, "asterisk", "status accepted refused",
     any_outcome(lambda request: request.target == b"*"),
     "nginx knows no OPTIONS *: RFC 9112, 3.2.4")
rule(NGINX, "HTTP/1.0 and its transfer codings", "accepted refused",
     any_outcome(lambda request: request.has(rb"HTTP/1\.0") and request.has(rb"transfer.encoding")),
     "nginx: 400 or ignored; RFC 9112, 6.1 wants the connection closed, which both do")

# ---- nginx: refused by both --------------------------------------------------------------------

rule(NGINX, "other versions", "refused", any_outcome(
    lambda request: request.first.reason in ("version", "method", "target", "target-form",
                                             "bare-lf", "bare-cr", "line-size")),
     "400, 505 or (HTTP/0.9) silence: RFC 9110, 15.6.6; leat: 505 for another major version")
rule(NGINX, "unknown codings", "refused", any_outcome(
    lambda request: request.has(rb"transfer-encoding")),
     "nginx: 501 for all but chunked; RFC 9112, 6.3: without chunked at the end MUST be 400")
rule(NGINX, "unknown methods", "accepted refused status", outcome(
    "501", ".*", lambda request: request.method not in (
        b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT")),
     "RFC 9110, 15.6.2: 501 for a method that is not recognised; nginx: 405")

# ---- nginx: statuses ---------------------------------------------------------------------------

rule(NGINX, "looks for the file first", "status accepted", outcome(
    "405|501", "404|403|301|405|400"),
     "which of two errors is told is the server's choice; leat looks at the method first")
rule(NGINX, "OPTIONS is answered by leat", "status", outcome(
    "204|200", "405|404|403|301", lambda request: request.method == b"OPTIONS"),
     "RFC 9110, 9.3.7")
rule(NGINX, "folders are pages", "status body framing", outcome(
    "200|405|301|304|404|412|206", ".*", lambda request: request.target.partition(b"?")[0].endswith(
        (b"/", b"/dir", b"localhost", b"/dir/.", b"/dir/..")) or b"//" in request.target),
     "leat has a library page where nginx (autoindex off) has 403")
rule(NGINX, "names too long", "status", outcome(
    "404|414", "404|405|414", lambda request: len(request.target) > 1000),
     "a path beyond the file system's limits: 404 or 414")
rule(NGINX, "If-Modified-Since beyond the file's date", "status", outcome(
    "304", "200|206|416", has_field(b"if-modified-since")),
     "nginx compares for equality (if_modified_since exact); RFC 9110, 13.1.3: no later than")
rule(NGINX, "If-Unmodified-Since that is no date", "status", outcome(
    "200|206|304|416", "412", odd_date(b"if-unmodified-since")),
     "RFC 9110, 13.1.4: MUST be ignored")
rule(NGINX, "If-Modified-Since that is no date", "status", outcome(
    "200|206|416", "304", odd_date(b"if-modified-since")),
     "RFC 9110, 13.1.3: MUST be ignored")
rule(NGINX, "lists of tags", "status", outcome(
    ".*", "412|304|200|206|416", lambda request: any(
        not re.fullmatch(rb'(W/)?("[^"]*"|@STRONG@)|\*', value)
        for name in (b"if-match", b"if-none-match") for value in request.first.values(name))),
     "values that are no lists of entity tags: RFC 9110, 13.1.1 leaves them undefined")
rule(NGINX, "no ranges for HEAD", "status", outcome(
    "200", "206|416", lambda request: request.method == b"HEAD" and request.field(b"range")),
     "RFC 9110, 14.2: ranges are defined for GET alone, others MUST ignore them")
rule(NGINX, "malformed and empty ranges", "status", outcome(
    "200|206|416", "200|206|416", lambda request: any(
        not re.fullmatch(rb"bytes=(\d+-\d*|-\d+)", value) or
        re.search(rb"(\d+)-(\d+)", value) and
        int(re.search(rb"(\d+)-(\d+)", value)[1]) > int(re.search(rb"(\d+)-(\d+)", value)[2]) or
        re.search(rb"\d{19}|^bytes=-0", value)
        for value in request.first.values(b"range"))),
     "RFC 9110, 14.2: a malformed Range is ignored or 416; leat ignores what it cannot read")
rule(NGINX, "several ranges", "status body", outcome(
    "200|206|416", "200|206|416|another", has_field(b"range", rb",")),
     "RFC 9110, 14.2 and 15.3.7: MAY be coalesced, sent as parts, or ignored")
rule(NGINX, "ranges twice", "status", outcome(
    "200|206|416", "200|206|416", field_twice(b"range")),
     "two lines are a list, which is no valid Range: RFC 9110, 14.2")
rule(NGINX, "ranges of nothing", "status", outcome(
    "416|200", "200|416", lambda request: b"empty.txt" in request.target),
     "of an empty file nothing can be satisfied: RFC 9110, 14.1.2")
rule(NGINX, "If-Range that is no validator", "status", outcome(
    "200", "206|416", lambda request: odd_date(b"if-range")(request) and
    request.field(b"range") is not None),
     "RFC 9110, 13.1.5: it is false, so the whole is sent; nginx compares it as text or date")
rule(NGINX, "conditions and a range together", "status", outcome(
    "304|412|200|206|416", "304|412|200|206|416", conditions_meet),
     "nginx asks for dates before tags and does not stop at the first: RFC 9110, 13.2.2")

# ---- nginx: the connection ---------------------------------------------------------------------

rule(NGINX, "closes after some errors", "persisted count", outcome("on|2|3", "closed|1|2"),
     "nginx closes after 412, 416, 4xx of POST and others; RFC 9112, 9.3: either may")
rule(NGINX, "bad chunks are not looked at", "persisted count", outcome(
    "closed|1|2|3", "on|1|2|3|4", lambda request: any(
        message.body_reason for message in request.messages)),
     "nginx answers before it reads, and forgives LF, blanks and trailers of any form; RFC 9112,"
     " 7.1")
rule(NGINX, "a body that waits for 100", "persisted count", outcome(
    "closed|1|2|3", "on|1|2|3|4", lambda request: request.first.expects),
     "who answers without 100 cannot know whether the body comes: RFC 9110, 10.1.1; leat closes")
rule(NGINX, "what leat refuses in a later request", "persisted count", any_outcome(is_last_broken),
     "the rules above, for a request behind the first")

# ---- Node: heads -------------------------------------------------------------------------------

NODE = "node"
for pattern, text in (
        ("fields", "leat's limit of 64 field lines; Node's is 2000"),
        ("host", "Node does not look at Host; RFC 9112, 3.2: an invalid one MUST be 400"),
        ("hosts", "Node takes the first Host; RFC 9112, 3.2: two MUST be 400"),
        ("transfer-encoding", "Node leaves codings other than chunked to the program; RFC 9112, 6.1"
                              " and 6.3"),
        ("chunked-1.0", "RFC 9112, 6.1: faulty framing"),
        ("bare-lf", "Node skips LF before a request; RFC 9112, 2.2: one CRLF at least"),
        ("bare-cr", "Node skips CR before a request"),
        ("method", "Node skips any number of empty lines"),
        ("target-form", "Node takes any target; RFC 9112, 3.2"),
        ("target", "Node takes '#' and bytes from 0x80 up in targets"),
        ("version", "Node forgives blanks before the version, and takes HTTP/0.9"),
        ("line-size", "leat's limit of 8 KiB for the first line"),
        ("https", "RFC 9110, 7.4: an https target MUST be rejected on a plain connection"),
        ("bad-chunk", "leat takes 16 digits at most, Node any number of zeros; RFC 9112, 7.1"),
        ("bad-trailer-size", "leat's limit of 8 KiB for trailers"),
        ("bad-trailer", "Node's trailers are field lines with fewer rules"),
        ("bad-bare-lf", "Node forgives LF in trailers"),
        ("bad-bare-cr", "Node forgives CR in trailers")):
    rule(NODE, f"accepts: {pattern}", "accepted", reason_is(pattern), text)

KNOWN_TO_NODE = rb"""GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE|CONNECT|M-SEARCH|PROPFIND|LOCK|
COPY|MOVE|LINK|BIND|ACL|MERGE|PURGE|QUERY|SEARCH|SOURCE|REPORT|NOTIFY|CHECKOUT|MKCOL|UNLOCK"""
rule(NODE, "knows its methods alone", "accepted", they_refuse(lambda request: any(
    re.fullmatch(KNOWN_TO_NODE.replace(b"\n", b""), message.method) is None
    for message in request.messages)),
     "a method is any token: RFC 9110, 9.1")
rule(NODE, "refuses what follows, with what came before", "accepted count persisted", they_refuse(
    lambda request: is_last_broken(request) or request.first.reason != ""),
     "Node drops an answer that it has not given when it refuses bytes behind it")
rule(NODE, "refuses bytes behind close", "accepted", they_refuse(has_bytes_behind_close),
     "RFC 9112, 9.6: a server does not process them; Node refuses them, with what came before")
rule(NODE, "other minor versions", "accepted", they_refuse(
    lambda request: any(message.minor > 1 for message in request.messages)),
     "RFC 9110, 2.5: a higher minor version is processed as the highest known")
rule(NODE, "Proxy-Connection", "accepted persisted", any_outcome(
    has_field(b"proxy-connection", rb"close")),
     "no standard has it; Node takes it for Connection and what follows for an attack")
rule(NODE, "lengths twice", "accepted", they_refuse(field_twice(b"content-length")),
     "equal ones may be taken for one: RFC 9112, 6.3")
rule(NODE, "knows no TAB around a length", "accepted", they_refuse(
    lambda request: request.has(rb"Content-Length:( *\t|[^\r\n]*\t+\r\n)")),
     "OWS may be a tab: RFC 9110, 5.6.3")
rule(NODE, "lengths in trailers", "accepted", they_refuse(
    lambda request: request.first.is_chunked and request.has(rb"\r\n(Content-Length|Transfer-Enc"
                                                             rb"oding|Host)[^\r\n]*:")),
     "Node parses trailers as heads; RFC 9110, 6.5.1: they are not merged, and mean nothing")
rule(NODE, "Connection", "accepted persisted", any_outcome(
    has_field(b"connection", rb"close|upgrade|keep-alive|,|^$|\"")),
     "Node reads close and keep-alive, whichever comes last, and lists less well; RFC 9112, 9.3")
rule(NODE, "Upgrade", "accepted persisted status count", any_outcome(has_field(b"upgrade")),
     "RFC 9110, 7.8: a server may ignore it")
rule(NODE, "empty lines between requests", "persisted accepted count", any_outcome(
    lambda request: request.data.endswith((b"\r", b"\n"))),
     "what stands between two requests: one CRLF for leat; Node skips CR and LF in any order")
rule(NODE, "CONNECT", "accepted status refused", any_outcome(
    lambda request: request.method == b"CONNECT" or request.data.startswith(b"CONNECT")),
     "without a listener Node closes; RFC 9110, 9.3.6")

# ---- Node: refused by both, statuses, connection -----------------------------------------------

rule(NODE, "a body that ends early", "refused accepted", any_outcome(
    lambda request: request.first.body_reason in ("short", "trailer-part")),
     "a client that has gone may be answered or not: RFC 9112, 8")
rule(NODE, "versions and codings", "refused", any_outcome(
    lambda request: request.first.reason != "" or request.first.body_reason != ""),
     "Node has 400 for all; leat 505 and 501 where RFC 9110, 15.6 has them")
rule(NODE, "expectations", "status persisted count accepted", outcome(
    "200|400|on|2|3", "417|closed|1", has_field(b"expect")),
     "RFC 9110, 10.1.1: MAY be 417")

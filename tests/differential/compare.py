# SPDX-License-Identifier: MIT
"""What two servers made of the same bytes, and what leat must do whatever they are."""

import dataclasses
import hashlib
import re

import semantics
import strict

REFUSALS = {400, 411, 413, 414, 421, 431, 501, 505}
CANARY_TEXT = (b"the canary sings\n", b"GET /canary\n")
DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d "
                  r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT\Z")


class Request:
    """The bytes, with what rules like to ask about them."""

    def __init__(self, data, canary):
        self.data = data
        self.sent = data + canary
        self.messages = strict.read(self.sent)
        self.first = self.messages[0]
        self.method = self.first.method
        self.target = self.first.target
        self.reason = self.first.reason or self.first.body_reason

    def has(self, pattern):
        """Is there this (a regular expression) anywhere in it?"""
        return re.search(pattern, self.data, re.DOTALL | re.IGNORECASE) is not None

    def field(self, name):
        """The values of a field in one, as RFC 9110, section 5.3 joins them; None: it has none."""
        values = self.first.values(name)
        return b", ".join(values) if values else None


@dataclasses.dataclass(frozen=True)
class Difference:
    """`kind`: accepted (one refused what the other understood), status, refused (both did, each
    in its way), persisted, framing, body, count, unanswered."""
    kind: str
    ours: str
    theirs: str

    def __str__(self):
        return f"{self.kind}: {self.ours} against {self.theirs}"


def is_canary(response):
    return response.status == 200 and response.body.startswith(CANARY_TEXT)


class Verdict:
    """An observation, reduced to what is compared."""

    def __init__(self, observation):
        finals = list(observation.responses)
        self.is_broken = bool(observation.broken)
        self.end = observation.end
        self.persisted = len(finals) > 1 and is_canary(finals[-1])
        if self.persisted:
            finals.pop()
        self.count = len(finals)
        self.first = finals[0] if finals else None
        self.status = self.first.status if finals else 0
        self.refused = not finals or (self.status in REFUSALS and not self.persisted)


def content_of(response):
    """The body, or of multipart its parts without the boundary, which is each server's own."""
    kind = response.get("content-type")
    match = re.match(r"multipart/byteranges; *boundary=\"?([^\"]+)\"?\Z", kind)
    if not match:
        return response.body
    parts = []
    for part in response.body.split(b"--" + match[1].encode())[1:-1]:
        head, _, body = part.partition(b"\r\n\r\n")
        ranges = re.search(rb"Content-Range: *([^\r]*)", head, re.IGNORECASE)
        parts.append((ranges[1] if ranges else b"?") + b"\n" + body)
    return b"".join(parts)


def differences(request, ours, theirs):
    """What a rule has to explain. When one refused there is nothing more to compare."""
    our, their = Verdict(ours), Verdict(theirs)
    if our.refused != their.refused:
        return [Difference("accepted", str(our.status), str(their.status))]
    if our.refused:
        if (our.status // 100, our.persisted) != (their.status // 100, their.persisted):
            return [Difference("refused", f"{our.status}{' and on' * our.persisted}",
                               f"{their.status}{' and on' * their.persisted}")]
        return []
    found = []
    if our.status != their.status:
        found.append(Difference("status", str(our.status), str(their.status)))
    elif our.status in (200, 206) and request.method == b"GET":
        our_hash, their_hash = (hashlib.sha256(content_of(verdict.first)).hexdigest()[:8]
                                for verdict in (our, their))
        if our_hash != their_hash:
            found.append(Difference("body", str(our.status), "another"))
        if our.first.framing != their.first.framing:
            found.append(Difference("framing", our.first.framing, their.first.framing))
    if our.persisted != their.persisted:
        found.append(Difference("persisted", "on" if our.persisted else "closed",
                                "on" if their.persisted else "closed"))
    elif our.count != their.count:
        found.append(Difference("count", str(our.count), str(their.count)))
    return found


# ---- Whatever the peers do --------------------------------------------------------------------


def violations(request, observation, is_echo):
    """Rules that hold for every answer of leat's."""
    found = []
    if observation.broken:
        found.append(observation.broken)
    last = request.messages[-1]
    is_cut = last.status == 1 and last.end is None and not observation.responses[1:]
    if observation.end != "eof" and not (is_cut and observation.end == "reset"):
        found.append(f"the connection's end: {observation.end}")
    responses = list(observation.responses)
    for response in responses:
        found += violations_of(response)
    for index, message in enumerate(request.messages):
        is_last = index == len(request.messages) - 1
        if index < len(responses):
            check = check_echo if is_echo else check_file
            found += check(message, responses[index])
        elif message.status not in (0, 1) or (message.status == 1 and not message.body_reason):
            if not responses or responses[-1].get("connection").lower() != "close":
                found.append(f"no answer to request {index + 1}")
            elif not is_echo and not request.messages[index - 1].body and \
                    not request.messages[index - 1].is_chunked:
                found.append(f"closed before request {index + 1}, without need")
            break
        if index < len(responses) and not is_last and \
                responses[index].get("connection").lower() == "close" and \
                len(responses) > index + 1:
            found.append("answered on after Connection: close")
    if len(responses) > len(request.messages):
        found.append(f"{len(responses)} answers to {len(request.messages)} requests")
    return found


def check_refusal(message, response):
    """None when it is not refused for its head."""
    if message.status == 0:
        return [] if response.status in (400, 408) else [f"{response.status} to half a head"]
    if message.status > 1:
        found = []
        if response.status != message.status:
            found.append(f"{response.status} instead of {message.status} ({message.reason})")
        if response.get("connection").lower() != "close":
            found.append(f"{response.status} ({message.reason}) without Connection: close")
        return found
    if 100 in response.interim and not message.expects:
        return ["100 that was not expected"]
    return None


def check_file(message, response):
    """`leat serve` says no more about a body than whether it can go on behind it."""
    found = check_refusal(message, response)
    if found is not None:
        return found
    is_bad_path = b"%" in message.target or not message.target.startswith((b"/", b"http"))
    if response.status in REFUSALS and not (response.status == 400 and is_bad_path) and \
            response.status not in (501, 414):
        return [f"{response.status} to a request that is good"]
    wanted = semantics.expected(message)
    if wanted and response.status != wanted[0]:
        return [f"{response.status} instead of {wanted[0]} (conditions, ranges)"]
    if wanted and wanted[1] is not None and response.body != wanted[1]:
        return [f"another body of {response.status}"]
    return []


def check_echo(message, response):
    found = check_refusal(message, response)
    if found is not None:
        return found
    if message.body_reason:
        return [] if response.status >= 400 else [f"{response.status} to a bad body"]
    if response.status != 200:
        return [f"{response.status} to a request that is good"]
    expected = message.method + b" " + path_of(message.target) + b"\n%d\n" % len(message.body)
    if message.method != b"HEAD" and response.body != expected + message.body:
        return ["another body than was sent"]
    return []


def path_of(target):
    """Of an absolute form what follows the host, of an asterisk nothing."""
    path = re.sub(rb"(?i)\Ahttps?://[^/?]*", b"", target).partition(b"?")[0]
    return b"" if target == b"*" else path or b"/"


def violations_of(response):
    found = []
    dates = response.fields.get("date", [])
    if len(dates) != 1 or not DATE.match(dates[0]):
        found.append(f"Date: {dates}")
    for name, values in response.fields.items():
        if len(values) > 1:
            found.append(f"{name} is there {len(values)} times")
    if response.status == 405 and "allow" not in response.fields:
        found.append("405 without Allow")
    if response.status == 206 and not response.get("content-range") and \
            not response.get("content-type").startswith("multipart/byteranges"):
        found.append("206 without Content-Range")
    if response.status == 416 and not response.get("content-range").startswith("bytes */"):
        found.append("416 without Content-Range")
    if response.status == 304 and ("etag" not in response.fields):
        found.append("304 without its validators")
    for status in response.interim:
        if status != 100:
            found.append(f"interim {status}")
    if "last-modified" in response.fields and not DATE.match(response.get("last-modified")):
        found.append(f"Last-Modified: {response.get('last-modified')}")
    return found


def summary(observation):
    texts = []
    for response in observation.responses:
        interim = "".join(f"({status}) " for status in response.interim)
        texts.append(f"{interim}{response.status} {response.framing} {response.body[:48]!r}"
                     f"{' close' if response.get('connection').lower() == 'close' else ''}")
    if observation.broken:
        texts.append(f"broken: {observation.broken}")
    return " | ".join(texts) + f" | {observation.end}"

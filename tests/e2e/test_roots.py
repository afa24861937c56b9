# SPDX-License-Identifier: MIT
"""Which folder a URL leads to, what stands for a folder, and what is said with a file."""

import email.message
import html
import os
import re
import time
import urllib.parse

import pytest

from conftest import descriptors_of
from test_command import complaint
from test_library import Page, page_of

REFUSED = r"leat serve: refused '"


@pytest.fixture
def rooms(tmp_path):
    """Three folders with files of their own."""
    for room in ("main", "one", "two"):
        (tmp_path / room / "sub").mkdir(parents=True)
        (tmp_path / room / f"{room}.txt").write_text(room)
        (tmp_path / room / "sub" / "deep.txt").write_text(f"deep in {room}")
    return tmp_path


# ----------------------------------------------------------------------------------------- names


def test_names_lead_to_their_folders(serve, rooms):
    (rooms / "main" / "first").mkdir()
    (rooms / "main" / "first" / "hidden.txt").write_text("hidden")
    server = serve(rooms / "main", "--root", f"first={rooms / 'one'}",
                   "--root", f"Zweiter Raum – 水={rooms / 'two'}")
    second = "/" + urllib.parse.quote("Zweiter Raum – 水")
    for target, content in (("/main.txt", "main"), ("/sub/deep.txt", "deep in main"),
                            ("/first/one.txt", "one"), ("/first/sub/deep.txt", "deep in one"),
                            (second + "/two.txt", "two"),
                            ("/sub/../first/./sub/../one.txt", "one")):
        assert server.get(target).body.decode() == content, target
    # A name hides what the main folder has there; nothing leads from one into another.
    for target in ("/first/hidden.txt", "/first/main.txt", "/one.txt", "/first/../one.txt",
                   "/First/one.txt", "/firs/one.txt", "/firstly/one.txt", "/first/first/one.txt"):
        assert server.get(target).status == 404, target
    assert server.get("/first").get("Location") == "/first/"
    assert server.get("/first/sub?x").get("Location") == "/first/sub/?x"
    assert server.get(second).get("Location") == second + "/"
    assert page_of(server).links == {"./first/": "first/", "./sub/": "sub/",
                                     f".{second}/": "Zweiter Raum – 水/",
                                     "./main.txt": "main.txt"}
    assert page_of(server, "/first/").links == {"../": "..", "./sub/": "sub/",
                                                "./one.txt": "one.txt"}


def test_names_alone(serve, rooms):
    server = serve(None, "--root", f"a={rooms / 'one'}", "--root", f"b={rooms / 'two'}")
    assert page_of(server).links == {"./a/": "a/", "./b/": "b/"}
    assert server.get("/a/one.txt").body == b"one"
    for target in ("/one.txt", "/meson.build", "/c/", "/c"):
        assert server.get(target).status == 404, target


@pytest.mark.parametrize("pages", ["library", "plain"])
def test_one_root_serves_all_threads(serve, rooms, pages):
    server = serve(rooms / "main", "--threads", "4", "--listing", pages)
    for _ in range(40):
        assert server.get("/main.txt").body == b"main"
        assert server.get("/none.txt").status == 404
        assert server.get("/").status == 200
    server.await_connections(0)
    held = descriptors_of(server.pid)
    # One of the root, and one of "." for each thread's cache.
    assert held.count(str(rooms / "main")) <= 1 + 4


@pytest.mark.parametrize("arguments, words", [
    (["--root", "films"], ["--root", "'films'", "NAME=DIR"]),
    (["--root", "=/tmp"], ["--root", "NAME=DIR"]),
    (["--root", "films="], ["--root", "NAME=DIR"]),
    (["--root", "a/b=/tmp"], ["--root", "segment"]),
    (["--root", ".git=/tmp"], ["--root", "dot"]),
    (["--root", "n" * 256 + "=/tmp"], ["--root", "255"]),
    (["--root", "a=/tmp", "--root", "a=/"], ["--root", "taken", "'a=/'"]),
    (["--root", "a=/none-such"], ["/none-such", "folder"]),
    (["--index", ""], ["--index", "''"]),
    (["--index", "a/b"], ["--index", "'a/b'"]),
    (["--listing", "fancy"], ["--listing", "library", "plain", "off", "fancy"]),
    (["--cors", "player.example"], ["--cors", "https://player.example", "'player.example'"]),
    (["--cors", "https://a.example/"], ["--cors", "path"]),
    (["--cors", "*", "--cors", "https://a.example"], ["--cors", "alone"]),
    (["--timing-allow-origin", "https://a, https://b"], ["--timing-allow-origin"]),
    (["--follow-symlinks", "yes"], ["--follow-symlinks", "on", "off"]),
])
def test_a_wrong_flag_is_explained(leat, arguments, words):
    complaint(leat("serve", "--listen", "127.0.0.1:0", *arguments), *words)


# ----------------------------------------------------------------------------------------- links


def test_what_leads_out_is_refused_and_told(serve, rooms):
    (rooms / "main" / "out").symlink_to("../one/one.txt")
    (rooms / "main" / "round").symlink_to("round")
    (rooms / "main" / "in\x1b[31m").symlink_to(rooms / "one")
    server = serve(rooms / "main")
    server.expect_on_stderr(REFUSED)
    started = time.monotonic()
    for _ in range(20):
        assert server.get("/out").status == 404
        assert server.get("/in%1b%5b31m/one.txt").status == 404
    told = [line for line in server.stderr().splitlines() if "refused" in line]
    assert 1 <= len(told) <= 1 + (time.monotonic() - started)
    assert told[0] == (f"leat serve: refused 'out' below {rooms / 'main'}: it leads out "
                       "(--follow-symlinks on would follow it)")
    time.sleep(1.1)
    assert server.get("/in%1b%5b31m/one.txt").status == 404
    time.sleep(1.1)
    assert server.get("/round").status == 404
    told = [line for line in server.stderr().splitlines() if "refused" in line]
    assert "refused 'in?[31m/one.txt'" in told[-2]
    assert "refused 'round'" in told[-1] and "circles" in told[-1]


def test_links_are_followed_if_that_is_wanted(serve, rooms):
    (rooms / "main" / "out").symlink_to("../one/one.txt")
    (rooms / "main" / "room").symlink_to(rooms / "two")
    server = serve(rooms / "main", "--follow-symlinks", "on")
    assert server.get("/out").body == b"one"
    assert server.get("/room/two.txt").body == b"two"
    assert page_of(server, "/room/").links["./two.txt"] == "two.txt"
    for target in ("/../one/one.txt", "/room/../../two/two.txt", "/%2e%2e/one/one.txt",
                   "/room/..%2f..%2ftwo/two.txt"):
        assert server.get(target).status == 404, target


# --------------------------------------------------------------------------------------- folders


def test_an_index_stands_for_its_folder(serve, rooms):
    page = "<!doctype html><title>Home</title>" + "x" * 9000
    (rooms / "main" / "index.html").write_text(page)
    (rooms / "main" / "sub" / "index.html").mkdir()  # is none
    (rooms / "one" / "home.htm").write_text("at home")
    server = serve(rooms / "main")
    with server.connect() as peer:
        answer = peer.get("/")
        assert answer.body.decode() == page
        assert answer.get("Content-Type") == "text/html; charset=utf-8"
        assert peer.get("/", fields=[f"If-None-Match: {answer.get('ETag')}"]).status == 304
        assert peer.get("/", fields=["Range: bytes=0-8"]).body == b"<!doctype"
        assert peer.get("/", method="HEAD").length == len(page)
        assert peer.get("/index.html").body.decode() == page
    assert page_of(server, "/sub/").links["./deep.txt"]
    assert "./index.html" in page_of(serve(rooms / "main", "--index", "off")).links
    other = serve(rooms / "main", "--root", f"one={rooms / 'one'}", "--index", "home.htm")
    assert "./index.html" in page_of(other).links
    assert other.get("/one/").body == b"at home"


def test_an_index_that_leads_out_is_none(serve, rooms):
    (rooms / "main" / "index.html").symlink_to(rooms / "one" / "one.txt")
    server = serve(rooms / "main")
    server.expect_on_stderr(REFUSED)
    assert "./main.txt" in page_of(server).links


def rows_of(text):
    """[(link, name, size, time)] of a plain page, which must hold together."""
    Page(text)
    found = re.findall(r'<tr><td><a href="([^"]*)">([^<]*)</a></td>'
                       r'<td>(?:<data value="(\d+)">[^<]*</data>)?</td>'
                       r'<td>(?:<time datetime="([^"]*)">[^<]*</time>)?</td></tr>', text)
    assert len(found) == text.count("<tr>") - 1
    return [(link, html.unescape(name), size, when) for link, name, size, when in found]


def test_a_plain_listing(serve, rooms):
    main = rooms / "main"
    (main / "B<b>.mp4").write_bytes(b"x" * 1500)
    (main / "a – ü.txt").write_bytes(b"")
    (main / "link").symlink_to("main.txt")
    for name in ("B<b>.mp4", "sub"):
        os.utime(main / name, (1_000_000_000, 1_000_000_000))
    server = serve(main, "--listing", "plain", "--root", f"r={rooms / 'one'}")
    answer = server.get("/")
    assert answer.get("Content-Type") == "text/html; charset=utf-8"
    rows = rows_of(answer.body.decode())
    assert [row[:3] for row in rows] == [
        ("./r/", "r/", ""), ("./sub/", "sub/", ""), ("./B%3Cb%3E.mp4", "B<b>.mp4", "1500"),
        ("./a%20%E2%80%93%20%C3%BC.txt", "a – ü.txt", "0"), ("./link", "link", ""),
        ("./main.txt", "main.txt", "4")]
    assert rows[1][3] == rows[2][3] == "2001-09-09T01:46:40Z"
    assert "<title>Index of /</title>" in answer.body.decode()
    rows = rows_of(server.get("/sub/").body.decode())
    assert [row[:2] for row in rows] == [("../", "../"), ("./deep.txt", "deep.txt")]
    assert server.get("/", method="HEAD").length == answer.length


def test_sizes_are_shown_as_people_say_them(serve, folder):
    for size, name in ((0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (150_000, "146 KiB"),
                       (1_500_000, "1.4 MiB"), (5 << 30, "5.0 GiB")):
        with open(folder / name.replace(" ", "-"), "wb") as file:
            file.truncate(size)
    text = serve(folder, "--listing", "plain").get("/").body.decode()
    for name, size in re.findall(r'">([^<]+)</a></td><td><data value="\d+">([^<]+)<', text):
        assert name.replace("-", " ") == size


def test_no_listing(serve, rooms):
    (rooms / "one" / "index.html").write_text("index")
    server = serve(rooms / "main", "--listing", "off", "--root", f"one={rooms / 'one'}")
    for target in ("/", "/sub/"):
        assert server.get(target).status == 403, target
    assert server.get("/none/").status == 404
    assert server.get("/main.txt/").status == 404
    assert server.get("/one/").body == b"index"
    assert server.get("/sub/deep.txt").body == b"deep in main"
    assert serve(None, "--listing", "off", "--root", f"a={rooms / 'one'}").get("/").status == 403


def test_dotfiles_if_that_is_wanted(serve, rooms):
    (rooms / "main" / ".well-known").mkdir()
    (rooms / "main" / ".well-known" / "token").write_text("token")
    (rooms / "main" / ".hidden.mp4").write_text("hidden")
    assert serve(rooms / "main").get("/.well-known/token").status == 404
    server = serve(rooms / "main", "--dotfiles", "on")
    assert server.get("/.well-known/token").body == b"token"
    assert {"./.hidden.mp4", "./.well-known/"} <= set(page_of(server).links)
    assert server.get("/.well-known").get("Location") == "/.well-known/"
    assert server.get("/../one/one.txt").status == 404


# ----------------------------------------------------------------------------------------- words


@pytest.mark.parametrize("name, plain", [
    ("film.mp4", "film.mp4"), ("Die Mühle – 水車.mp4", "Die M__hle ___ ______.mp4"),
    ("a\"b\\c%41;d'e.mp4", "a_b_c_41;d'e.mp4"), ("new\nline.mp4", "new_line.mp4"),
    ("ü" * 125, "_" * 250),
])
def test_a_download_has_its_name(serve, folder, name, plain):
    (folder / name).write_text("content")
    with serve(folder).connect() as peer:
        target = "/" + urllib.parse.quote(name)
        assert peer.get(target).get("Content-Disposition") is None
        assert peer.get(target + "?downloads").get("Content-Disposition") is None
        for query in ("?download", "?t=1&download=1", "?download&x"):
            answer = peer.get(target + query)
            disposition = answer.get("Content-Disposition")
            assert (answer.status, answer.body) == (200, b"content")
            plainly, encoded = re.fullmatch(r"attachment; filename=\"([^\"]*)\"; "
                                            r"filename\*=UTF-8''(\S*)", disposition).groups()
            assert plainly == plain
            assert urllib.parse.unquote(encoded) == name
            assert re.fullmatch(r"(?:[\w!#$&+.^`|~-]|%[0-9A-F]{2})*", encoded, re.ASCII)
        part = peer.get(target + "?download", fields=["Range: bytes=0-2"])
        assert part.status == 206 and part.get("Content-Disposition") == disposition
        gone = peer.get("/none.mp4?download")
        assert gone.status == 404 and gone.get("Content-Disposition") is None
    message = email.message.Message()
    message["Content-Disposition"] = disposition.split("; ")[0] + "; " + disposition.split("; ")[-1]
    assert message.get_filename() == name


def test_a_download_of_a_name_that_is_no_utf_8(serve, folder):
    (folder / os.fsdecode(b"caf\xe9.mp4")).write_text("old")
    disposition = serve(folder).get("/caf%E9.mp4?download").get("Content-Disposition")
    assert disposition == "attachment; filename=\"caf_.mp4\"; filename*=UTF-8''caf%EF%BF%BD.mp4"


PREFLIGHT = ["Origin: https://a.example", "Access-Control-Request-Method: GET",
             "Access-Control-Request-Headers: range,x-cmcd"]


def test_nobody_elses_scripts_read_along(serve, rooms):
    with serve(rooms / "main").connect() as peer:
        for method, fields in (("GET", ["Origin: https://a.example"]), ("OPTIONS", PREFLIGHT)):
            answer = peer.get("/main.txt", method=method, fields=fields)
            assert answer.status == (204 if method == "OPTIONS" else 200)
            assert not [name for name, _ in answer.lines
                        if name.startswith(("Access-", "Vary", "Timing"))]
        assert answer.get("Allow") == "GET, HEAD, OPTIONS"
        assert answer.get("Content-Length") is None


@pytest.mark.parametrize("origin", ["*", "https://a.example"])
def test_scripts_of_an_origin_read_along(serve, rooms, origin):
    server = serve(rooms / "main", "--cors", origin, "--timing-allow-origin", origin)
    with server.connect() as peer:
        for target, method, status in (("/main.txt", "GET", 200), ("/none", "GET", 404),
                                       ("/", "HEAD", 200), ("/sub", "GET", 301),
                                       ("/main.txt", "POST", 405)):
            # The same for everybody, so that caches may keep it: no "Vary: Origin".
            for fields in ([], ["Origin: https://a.example"], ["Origin: https://b.example"]):
                answer = peer.get(target, method=method, fields=fields)
                assert answer.status == status
                assert answer.get("Access-Control-Allow-Origin") == origin
                assert "Content-Range" in answer.get("Access-Control-Expose-Headers")
                assert answer.get("Timing-Allow-Origin") == origin
                assert answer.get("Vary") in (None, "Accept-Encoding")
        answer = peer.get("/main.txt", method="OPTIONS", fields=PREFLIGHT)
        assert answer.status == 204 and answer.body == b""
        assert answer.get("Access-Control-Allow-Origin") == origin
        assert "GET" in answer.get("Access-Control-Allow-Methods")
        assert answer.get("Access-Control-Allow-Headers") == "range,x-cmcd"
        assert int(answer.get("Access-Control-Max-Age")) > 0
        plain = peer.get("/main.txt", method="OPTIONS")
        assert plain.status == 204 and plain.get("Access-Control-Allow-Methods") is None


def test_scripts_of_several_origins_read_along(serve, rooms):
    server = serve(rooms / "main", "--cors", "https://a.example", "--cors", "http://b.example:81")
    with server.connect() as peer:
        for origin, is_allowed in (("https://a.example", True), ("http://b.example:81", True),
                                   ("http://b.example", False), ("https://a.example.org", False),
                                   ("null", False), (None, False)):
            fields = [f"Origin: {origin}"] if origin else []
            answer = peer.get("/main.txt", fields=fields)
            assert answer.get("Access-Control-Allow-Origin") == (origin if is_allowed else None)
            assert answer.get("Vary") == "Origin"
            answer = peer.get("/main.txt", method="OPTIONS", fields=[*PREFLIGHT[1:], *fields])
            assert bool(answer.get("Access-Control-Allow-Methods")) == is_allowed

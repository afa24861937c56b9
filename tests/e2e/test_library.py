# SPDX-License-Identifier: MIT
"""The library page: what is in a folder, as HTML that holds together whatever the names are."""

import html.parser
import os
import urllib.parse

import pytest

VOID = {"meta", "link", "br", "img", "input", "hr", "source"}


class Page(html.parser.HTMLParser):
    """A page whose elements nest as they should; its links (text by target) and its elements."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.links, self.elements, self.text = [], {}, [], ""
        self.link, self.heading, self.headings = None, "", {}
        assert text.startswith("<!doctype html>")
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "a":
            self.link = dict(attrs)["href"]
            assert self.link not in self.links
            self.links[self.link] = ""
            self.headings[self.link] = self.heading
        elif tag == "h2":
            self.heading = ""

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> within {self.open}"
        self.open.pop()
        if tag == "a":
            self.link = None

    def handle_data(self, data):
        self.text += data
        if self.open[-1:] == ["h2"]:
            self.heading += data
        if self.link is not None:
            self.links[self.link] += data

    def films(self):
        return [link for link, heading in self.headings.items() if heading == "Films"]

    def scripts(self):
        """Where they are; there are none within the page."""
        return [attributes["src"] for tag, attributes in self.elements if tag == "script"]


def page_of(server, target="/"):
    answer = server.get(target)
    assert answer.status == 200
    assert answer.get("Content-Type") == "text/html; charset=utf-8"
    return Page(answer.body.decode("utf-8", "surrogateescape"))


def follow(server, target, link):
    return server.get(urllib.parse.urljoin(target, link))


def test_the_page_lists_films_that_can_be_followed(serve, media, film):
    (media / "notes.txt").write_text("notes")
    server = serve(media)
    page = page_of(server)
    assert page.links == {"./watercourse.mp4": "watercourse.mp4", "./notes.txt": "notes.txt"}
    assert page.films() == ["./watercourse.mp4"]
    assert follow(server, "/", "./watercourse.mp4").body == film
    head = server.get("/", method="HEAD")
    assert head.length == server.get("/").length and head.body == b""


def test_an_empty_folder_says_so(serve, folder):
    page = page_of(serve(folder))
    assert not page.links and "nothing" in page.text


HOSTILE = ["<script>alert(1)<script>.mp4", "<b>.mp4", "\"onmouseover=\"alert(1)\".mp4",
           "'quotes'.mp4", "&amp;.mp4", "&lt;b&gt;.mp4", "javascript:alert(1).mp4", "http:..mp4",
           "a?b#c%41.mp4", "日本語 – ü.mp4", "line\nbreak.mp4", "]]>.mp4", "--><!--.mp4",
           "{{7*7}}.mp4", " leading and trailing .mp4", "-flag.mp4", "film.mp4.."]


def test_names_are_names_whatever_they_look_like(serve, folder):
    for name in HOSTILE:
        (folder / name).write_text(name)
    server = serve(folder)
    page = page_of(server)
    assert all(script.startswith("./.leat/library.js?v=") for script in page.scripts())
    assert [tag for tag, _ in page.elements].count("h1") == 1
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
    assert sorted(page.links.values()) == sorted(HOSTILE)
    for link, text in page.links.items():
        assert link.startswith("./")
        assert follow(server, "/", link).body.decode() == text


def test_names_that_are_not_utf_8(serve, folder):
    (folder / os.fsdecode(b"caf\xe9.mp4")).write_text("old")
    server = serve(folder)
    answer = server.get("/")
    answer.body.decode("utf-8")  # a page says that it is UTF-8, and is
    [link] = Page(answer.body.decode("utf-8")).links
    assert follow(server, "/", link).body == b"old"


def test_folders_within_folders(serve, media, film):
    deep = media / "a folder" / "deeper & deeper"
    deep.mkdir(parents=True)
    (deep / "film.mp4").write_bytes(film)
    server = serve(media)
    target = "/"
    for name in ("a folder", "deeper & deeper"):
        page = page_of(server, target)
        [link] = [link for link, text in page.links.items() if text == name + "/"]
        target = urllib.parse.urljoin(target, link)
    page = page_of(server, target)
    assert follow(server, target, page.films()[0]).body == film
    [up] = [link for link, text in page.links.items() if text == ".."]
    assert page_of(server, urllib.parse.urljoin(target, up)).links["./deeper%20%26%20deeper/"]
    # A folder's name without its slash leads to it; relative links would break otherwise.
    answer = server.get("/a%20folder?x=1")
    assert answer.status == 301 and answer.get("Location") == "/a%20folder/?x=1"
    answer = server.get("//a%20folder")
    assert answer.get("Location") == "/a%20folder/"  # not "//a%20folder", which is another host
    assert server.get("/a%20folder?" + "x" * 6000).status in (301, 414)
    assert server.get("/watercourse.mp4/").status == 404


@pytest.mark.parametrize("target", ["/.secret.mp4", "/.git/config", "/.git/", "/.git",
                                    "/%2esecret.mp4", "/folder/.secret.mp4", "/folder/.well/x",
                                    "/./.secret.mp4", "/..secret.mp4", "/.secret.mp4/"])
def test_dotfiles_are_nobodys_business(serve, folder, target):
    (folder / ".git").mkdir()
    (folder / "folder" / ".well").mkdir(parents=True)
    for name in (".secret.mp4", "..secret.mp4", ".git/config", "folder/.secret.mp4",
                 "folder/.well/x"):
        (folder / name).write_text("secret")
    server = serve(folder)
    answer = server.get(target)
    assert answer.status == 404 and b"secret" not in answer.body
    for page in ("/", "/folder/"):
        assert "secret" not in page_of(server, page).text
    assert not page_of(server, "/folder/").films()


def test_a_new_film_appears(serve, folder):
    server = serve(folder)
    assert not page_of(server).links
    (folder / "new.mp4").write_text("new")
    assert page_of(server).films() == ["./new.mp4"]


def test_thousands_of_films(serve, folder):
    """With the script, which asks for the others, it is a page of the first ones."""
    for number in range(3000):
        (folder / f"film-{number:04}.mp4").touch()
    server = serve(folder)
    page = page_of(server)
    has_script = bool(page.scripts())
    assert page.films() == [f"./film-{number:04}.mp4" for number in range(3000)][
        :200 if has_script else None] + (["?list=plain"] if has_script else [])
    plain = Page(server.get("/?list=plain").body.decode())
    assert list(plain.links) == [f"./film-{number:04}.mp4" for number in range(3000)]


def policy_of(server, target="/"):
    parts = server.get(target).get("Content-Security-Policy").split(";")
    return {name: sources for name, *sources in map(str.split, parts)}


def test_the_page_may_do_little(serve, media):
    server = serve(media)
    policy = policy_of(server)
    has_script = bool(page_of(server).scripts())
    assert policy["default-src"] == ["'none'"]
    assert policy.get("script-src") == (["'self'"] if has_script else None)
    assert policy["style-src"] == (["'self'"] if has_script else ["'unsafe-inline'"])
    assert server.get("/?list=json").get("Content-Security-Policy") is None


def test_the_script_is_where_the_page_says(serve, folder):
    """From any folder, also below a proxy's prefix: the address is relative."""
    (folder / "a" / "b c").mkdir(parents=True)
    server = serve(folder)
    if not page_of(server).scripts():
        pytest.skip("leat was built without its pages (no Node, or no web/node_modules)")
    for target in ("/", "/a/", "/a/b%20c/"):
        page = page_of(server, target)
        [style] = [attributes["href"] for tag, attributes in page.elements
                   if tag == "link" and attributes["rel"] == "stylesheet"]
        for link in (*page.scripts(), style):
            assert link.startswith(".")
            assert urllib.parse.urljoin(target, link).startswith("/.leat/library.")
            answer = follow(server, target, link)
            assert answer.status == 200 and "immutable" in answer.get("Cache-Control")

# SPDX-License-Identifier: MIT
"""What the library's script asks for: a folder as JSON, what is known of a film, and its poster."""

import json
import os
import shutil
import time
import urllib.parse

import pytest

import film_maker
from test_library import HOSTILE

pytestmark = pytest.mark.mostly_on("uring")


def list_of(server, target="/"):
    answer = server.get(target + "?list=json")
    assert answer.status == 200 and answer.get("Content-Type") == "application/json"
    assert answer.get("Cache-Control") == "no-cache"
    return json.loads(answer.body.decode("utf-8"))


def names_of(server, target="/"):
    return [entry["name"] for entry in list_of(server, target)["entries"]]


def info_of(server, film):
    answer = server.get(film + "/info.json")
    assert answer.status == 200 and answer.get("Content-Type") == "application/json"
    return json.loads(answer.body)


@pytest.fixture(name="pictures", scope="module")
def two_pictures(tmp_path_factory):
    """A JPEG and a PNG."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / "red.jpg", folder / "blue.png"]
    for path in paths:
        film_maker.run_ffmpeg("-f", "lavfi", "-i", f"color={path.stem}:s=64x36", "-frames:v", "1",
                              path)
    return [path.read_bytes() for path in paths]


def add_cover(film, picture, path):
    """The film with a cover, as ffmpeg writes it."""
    cover = path.parent.parent / "cover"
    cover.write_bytes(picture)
    film_maker.run_ffmpeg("-i", film, "-i", cover, "-map", "0", "-map", "1", "-c", "copy",
                          "-disposition:v:1", "attached_pic", path)


# ---- Folders ----------------------------------------------------------------------------------


def test_a_folder_is_told_as_it_is(serve, media):
    (media / "Music").mkdir()
    (media / "albums").mkdir()
    for name in ("notes.txt", "song.mp3", "Sound.m4a", "clip.webm", "b.MOV"):
        (media / name).write_text(name)
    os.symlink("notes.txt", media / "link.txt")
    server = serve(media)
    found = list_of(server)
    assert (found["path"], found["live"], found["truncated"]) == ("/", False, False)
    entries = found["entries"]
    assert [(entry["kind"], entry["name"]) for entry in entries] == [
        ("folder", "albums"), ("folder", "Music"), ("film", "b.MOV"), ("film", "clip.webm"),
        ("film", "song.mp3"), ("film", "Sound.m4a"), ("film", "watercourse.mp4"),
        ("file", "link.txt"), ("file", "notes.txt")]
    by_name = {entry["name"]: entry for entry in entries}
    film = (media / "watercourse.mp4").stat()
    assert by_name["watercourse.mp4"] == {
        "name": "watercourse.mp4", "kind": "film", "size": film.st_size,
        "mtime_ms": film.st_mtime_ns // 1_000_000, "href": "watercourse.mp4",
        "stream": "watercourse.mp4/master.m3u8"}
    assert by_name["Music"] == {"name": "Music", "kind": "folder", "href": "Music/"}
    assert [name for name, entry in by_name.items() if "stream" in entry] == [
        "b.MOV", "Sound.m4a", "watercourse.mp4"]
    # What a symbolic link leads to is not looked at.
    assert by_name["link.txt"] == {"name": "link.txt", "kind": "file", "href": "link.txt"}
    assert server.get("/watercourse.mp4/master.m3u8").status == 200


def test_folders_and_queries(serve, media):
    deep = media / "a folder" / "deeper & \"deeper\""
    deep.mkdir(parents=True)
    server = serve(media)
    assert list_of(server, "/a%20folder/")["path"] == "/a folder/"
    [entry] = list_of(server, "/a%20folder/")["entries"]
    target = urllib.parse.urljoin("/a%20folder/", entry["href"])
    assert list_of(server, target) == {"path": "/a folder/deeper & \"deeper\"/", "live": False,
                                       "truncated": False, "entries": []}
    assert server.get("/a%20folder?list=json").get("Location") == "/a%20folder/?list=json"
    assert server.get("/nothing/?list=json").status == 404
    for query in ("list=JSON", "list", "list=", "lists=json", "a=list=json"):
        assert server.get(f"/?{query}").get("Content-Type") == "text/html; charset=utf-8"
    plain = server.get("/?list=plain").body.decode()
    assert "<table>" in plain and "./watercourse.mp4" in plain
    head = server.get("/?list=json", method="HEAD")
    assert head.length == len(server.get("/?list=json").body) and head.body == b""


def test_names_are_names_whatever_they_look_like(serve, folder):
    hostile = [*HOSTILE, "back\\slash.mp4", "tab\tand\x01\x1f\x7f.mp4", "%00%2f.mp4", "\u2028.mp4",
               "a\"b.txt", "<script>.txt"]
    for name in hostile:
        (folder / name).write_text(name)
    (folder / os.fsdecode(b"caf\xe9 \xff\xfe.mp4")).write_text("no UTF-8")
    server = serve(folder)
    entries = list_of(server)["entries"]
    assert {entry["name"] for entry in entries} == {*hostile, "caf\ufffd \ufffd\ufffd.mp4"}
    for entry in entries:
        assert not urllib.parse.urlsplit(entry["href"]).scheme, entry
        assert not set(entry["href"]) & set(":\"'<>&\\ \n?#"), entry
        body = server.get(urllib.parse.urljoin("/", entry["href"])).body.decode()
        assert body == entry["name"] or "caf" in entry["name"] and body == "no UTF-8"


def test_who_may_see_it(serve, folder):
    (folder / ".secret.mp4").touch()
    (folder / "film.mp4").touch()
    assert names_of(serve(folder)) == ["film.mp4"]
    assert names_of(serve(folder, "--dotfiles", "on")) == [".secret.mp4", "film.mp4"]
    assert names_of(serve(folder, "--listing", "plain")) == ["film.mp4"]
    assert serve(folder, "--listing", "off").get("/?list=json").status == 403
    (folder / "index.html").write_text("mine")
    assert serve(folder, "--index", "index.html").get("/?list=json").body == b"mine"


def test_roots_are_folders(serve, folder):
    (folder / "in").mkdir()
    server = serve(None, "--root", f"films={folder}", "--root", f"more={folder / 'in'}")
    assert names_of(server) == ["films", "more"] and names_of(server, "/films/") == ["in"]
    assert names_of(server, "/more/") == []


def test_who_has_it_need_not_get_it_again(serve, folder):
    (folder / "film.mp4").touch()
    server = serve(folder)
    tag = server.get("/?list=json").get("ETag")
    assert server.get("/?list=json", fields=[f"If-None-Match: {tag}"]).status == 304
    (folder / "film.mp4").write_text("longer")
    assert server.get("/?list=json", fields=[f"If-None-Match: {tag}"]).status == 200


def test_thousands_of_films_are_told_quickly(serve, folder):
    for number in range(10_000):
        (folder / f"film {number:05}.mp4").touch()
        if number % 5 == 0:
            (folder / f"film {number:05}.jpg").touch()
    server = serve(folder)
    began = time.monotonic()
    found = list_of(server)
    assert time.monotonic() - began < 5  # some 30 ms where nothing else runs
    assert not found["truncated"]
    assert [entry["name"] for entry in found["entries"]] == [
        f"film {number:05}.mp4" for number in range(10_000)]


@pytest.mark.long
def test_there_is_an_end_to_it(serve, folder):
    for number in range(33_000):
        (folder / f"{number}.mp4").touch()
    found = list_of(serve(folder))
    assert found["truncated"] and len(found["entries"]) == 32 * 1024


# ---- Ladders, and what belongs to films ---------------------------------------------------------


def ladders_of(server):
    return {entry["name"]: entry["rungs"] for entry in list_of(server)["entries"]
            if "rungs" in entry}


def test_rungs_are_one_film(serve, folder):
    for index, name in enumerate(["Film-720p.mp4", "Film-1080.mp4", "Film-480.mov", "alone-720.mp4",
                                  "film-1080.webm", "film-720.webm", "Film-1080x.mp4"]):
        (folder / name).write_bytes(b"x" * (10 + index % 3))
    server = serve(folder)
    entries = {entry["name"]: entry for entry in list_of(server)["entries"]}
    assert list(entries) == ["alone-720.mp4", "Film", "film-1080.webm", "Film-1080x.mp4",
                             "film-720.webm"]
    film = entries["Film"]
    assert film["rungs"] == ["Film-480.mov", "Film-1080.mp4", "Film-720p.mp4"]
    assert (film["kind"], film["stream"]) == ("film", "Film/master.m3u8")
    assert film["href"] == "Film-480.mov" and film["size"] == 12  # the largest, which is first


def test_years_are_no_rungs(serve, folder):
    for name in ("trip-2018.mp4", "trip-2019.mp4", "film-1080.mp4", "film-2018.mp4",
                 "old-1999p.mp4", "old-1998p.mp4"):
        (folder / name).touch()
    assert list(ladders_of(serve(folder))) == ["film", "old"]


def test_more_rungs_than_a_ladder_has_are_films(serve, folder):
    for number in range(17):
        (folder / f"film-{100 + number}.mp4").touch()
    assert not ladders_of(serve(folder))


def test_lists_of_rungs(serve, folder):
    for name in ("high.mp4", "low.mp4", "other.mp4", "film-720.mp4", "film-480.mp4",
                 "film-360.mp4", "bad-720.mp4", "bad-480.mp4"):
        (folder / name).touch()
    (folder / "Film.ladder.json").write_text('{"rungs": ["high.mp4", "low.mp4"]}')
    # In place of the names.
    (folder / "film.ladder.json").write_text('{"rungs": ["film-720.mp4", "film-360.mp4"]}')
    (folder / "gone.ladder.json").write_text('{"rungs": ["other.mp4", "gone.mp4"]}')
    (folder / "broken.ladder.json").write_text("{")
    (folder / "twice.ladder.json").write_text('{"rungs": ["low.mp4", "other.mp4"]}')
    server = serve(folder)
    ladders = ladders_of(server)
    assert ladders.pop("bad") == ["bad-480.mp4", "bad-720.mp4"]
    assert ladders.pop("film") == ["film-360.mp4", "film-720.mp4"]
    assert ladders in ({"Film": ["high.mp4", "low.mp4"]}, {"twice": ["low.mp4", "other.mp4"]})
    names = names_of(server)
    assert "film-480.mp4" in names and "film.ladder.json" not in names
    assert {"gone.ladder.json", "broken.ladder.json"} < set(names)


def test_what_belongs_to_a_film_stands_with_it(serve, folder):
    beside = ["film.jpg", "film.webp", "film.en.vtt", "film.pt-BR.srt", "rung-720.png",
              "rung.avif", "rung.de.vtt", "a.b.jpg", "clip.png"]
    others = ["FILM.jpg", "film.gif", "film2.jpg", "film.vtt", "jpg", "rung-720.jpg.txt",
              "film.json", "poster.jpg", "clip.en.vtt"]  # whose film is not streamed
    films = ["film.mp4", "clip.webm", "rung-720.mp4", "rung-480.mp4", "a.b.mp4"]
    for name in (*films, *beside, *others):
        (folder / name).touch()
    server = serve(folder)
    assert [entry["name"] for entry in list_of(server)["entries"] if entry["kind"] == "file"] == \
        sorted(others, key=lambda name: (name.lower(), name))
    for name in beside:
        assert server.get(f"/{name}").status == 200


# ---- Films --------------------------------------------------------------------------------------


def test_what_is_known_of_a_film(serve, folder):
    path = folder / "film.mp4"
    shutil.copy(film_maker.make(audio=2, fps="30000/1001", seconds=6), path)
    for name in ("film.en.vtt", "film.de.srt"):
        (folder / name).touch()
    server = serve(folder)
    info = info_of(server, "/film.mp4")
    assert 5.9 < info.pop("duration_s") < 6.2
    assert 100_000 < info.pop("bit_rate") < 1_000_000
    assert info.pop("codecs").split(",")[0].startswith("avc1.")
    assert info == {
        "stream": True, "size": path.stat().st_size, "width": 320, "height": 180,
        "frame_rate": 29.97, "subtitles": ["de", "en"], "poster": None,
        "audio": [{"language": "eng", "channels": 1, "codec": "mp4a.40.2"},
                  {"language": "deu", "channels": 1, "codec": "mp4a.40.2"}]}
    answer = server.get("/film.mp4/info.json")
    again = server.get("/film.mp4/info.json", fields=[f"If-None-Match: {answer.get('ETag')}"])
    assert again.status == 304


def test_sound_alone(serve, folder):
    shutil.copy(film_maker.make(video=False), folder / "sound.m4a")
    info = info_of(serve(folder), "/sound.m4a")
    assert info["stream"] and info["codecs"] == "mp4a.40.2"
    assert (info["width"], info["height"], info["frame_rate"]) == (None, None, None)


def test_what_cannot_be_streamed_says_why(serve, folder):
    (folder / "text.mp4").write_text("no film at all")
    (folder / "empty.mp4").touch()
    (folder / "clip.webm").write_text("a film of another kind")
    (folder / "notes.txt").write_text("no film")
    server = serve(folder)
    assert info_of(server, "/clip.webm") == {
        "stream": False, "why": "it is no MP4", "size": 22, "subtitles": [], "poster": None}
    info = info_of(server, "/text.mp4")
    assert not info["stream"] and info["size"] == 14 and info["why"].startswith("it is no MP4: ")
    assert info_of(server, "/empty.mp4")["size"] == 0
    for target in ("/notes.txt/info.json", "/gone.mp4/info.json", "/gone/info.json", "/info.json",
                   "/notes.txt/poster", "/gone.mp4/poster", "/gone/poster", "/poster",
                   "/clip.webm/master.m3u8"):
        assert server.get(target).status == 404, target


def test_what_is_known_of_a_ladder(serve, folder):
    shutil.copy(film_maker.make(video_bits=1_200_000, size="640x360"), folder / "film-720.mp4")
    shutil.copy(film_maker.make(), folder / "film-360.mp4")
    (folder / "film.en.vtt").touch()
    (folder / "bad-360.mp4").write_text("no film")
    server = serve(folder)
    info = info_of(server, "/film")
    assert info["stream"] and (info["width"], info["subtitles"]) == (640, ["en"])
    assert info["size"] == (folder / "film-720.mp4").stat().st_size
    info = info_of(server, "/bad")
    assert not info["stream"] and info["why"].startswith("bad-360.mp4: ")


def test_files_of_these_names_are_files(serve, folder):
    (folder / "film.mp4").mkdir()
    for name in ("info.json", "poster", "film.mp4/info.json", "film.mp4/poster"):
        (folder / name).write_text(name)
    server = serve(folder)
    for name in ("info.json", "poster", "film.mp4/info.json", "film.mp4/poster"):
        assert server.get(f"/{name}").body.decode() == name


# ---- Posters ------------------------------------------------------------------------------------


def test_a_cover_is_sent_out_of_the_film(serve, folder, pictures):
    server = serve(folder)
    for picture, media_type in zip(pictures, ("image/jpeg", "image/png")):
        path = folder / f"{media_type[6:]}.mp4"
        add_cover(film_maker.make(), picture, path)
        answer = server.get(f"/{path.name}/poster")
        assert answer.status == 200 and answer.get("Content-Type") == media_type
        assert answer.body == picture and answer.get("Cache-Control") == "max-age=60"
        assert info_of(server, f"/{path.name}")["poster"] == "poster"
        head = server.get(f"/{path.name}/poster", method="HEAD")
        assert head.length == len(picture) and head.body == b""
        tag = f"If-None-Match: {answer.get('ETag')}"
        assert server.get(f"/{path.name}/poster", fields=[tag]).status == 304
        part = server.get(f"/{path.name}/poster", fields=["Range: bytes=10-19"])
        assert part.status == 206 and part.body == picture[10:20]
        beyond = server.get(f"/{path.name}/poster", fields=["Range: bytes=99999-"])
        assert beyond.status == 416 and beyond.get("Cache-Control") is None
        assert server.get(f"/{path.name}/master.m3u8").status == 200  # the cover is no hindrance
    assert server.get("/jpeg.mp4/poster").body == pictures[0]


def test_a_picture_beside_the_film_goes_first(serve, folder, pictures):
    add_cover(film_maker.make(), pictures[0], folder / "film.mp4")
    (folder / "clip.webm").write_text("clip")
    (folder / "clip.webp").write_text("a picture of another kind")
    (folder / "film.jpg").touch()  # of nothing: as good as not there
    (folder / "film.png").write_bytes(pictures[1])
    server = serve(folder)
    answer = server.get("/film.mp4/poster")
    assert answer.body == pictures[1] and answer.get("Content-Type") == "image/png"
    answer = server.get("/clip.webm/poster")
    assert answer.status == 200 and answer.get("Content-Type") == "image/webp"
    assert info_of(server, "/clip.webm")["poster"] == "poster"


def test_posters_of_ladders(serve, folder, pictures):
    film = film_maker.make()
    shutil.copy(film, folder / "film-360.mp4")
    add_cover(film, pictures[0], folder / "film-720.mp4")
    shutil.copy(film, folder / "bare-720.mp4")
    shutil.copy(film, folder / "bare-360.mp4")
    server = serve(folder)
    assert server.get("/film/poster").body == pictures[0]
    assert server.get("/film-360.mp4/poster").status == 404
    assert server.get("/bare/poster").status == 404
    assert info_of(server, "/bare")["poster"] is None
    (folder / "other").mkdir()
    for path in folder.glob("film-*.mp4"):
        shutil.copy(path, folder / "other")
    (folder / "other" / "film.png").write_bytes(pictures[1])
    for name in ("film", "film-360.mp4", "film-720.mp4"):
        assert server.get(f"/other/{name}/poster").body == pictures[1], name


def test_covers_that_lie(serve, folder, pictures):
    """What says that it is a picture and is none is not sent as one."""
    add_cover(film_maker.make(), pictures[0], folder / "film.mp4")
    data = (folder / "film.mp4").read_bytes()
    assert data.count(pictures[0]) == 1
    script = b"<svg onload=alert(1)>".ljust(len(pictures[0]))
    (folder / "script.mp4").write_bytes(data.replace(pictures[0], script))
    (folder / "cut.mp4").write_bytes(data[:data.index(pictures[0]) + 20])
    server = serve(folder)
    assert server.get("/film.mp4/poster").status == 200
    for name in ("script", "cut"):
        assert server.get(f"/{name}.mp4/poster").status == 404

"""Folders and zips as lists of files: the zip reader against Python's own, and what is refused."""

import stat
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from advnets.base import errors
from advnets.data.images import opened
from advnets.data.images.sources import Entry
from pictures import write, zipped

FILES = {"a/1.png": b"one", "a/b/2.png": b"two" * 99, "top.txt": b"", "ä/ß.jpg": bytes(range(256))}


def listed(path):
    with opened(path) as source:
        entries = list(source.entries())
        return {e.name: e for e in entries if not e.why}, [e.name for e in entries if e.why]


def contents(path):
    with opened(path) as source:
        return {e.name: source.read(e) for e in source.entries() if not e.name.endswith("/")}


# The same from both


def test_a_folder_and_its_zip_hold_the_same(tmp_path):
    write(tmp_path / "f", FILES)
    assert contents(tmp_path / "f") == contents(zipped(tmp_path / "z.zip", FILES)) == FILES


def test_what_systems_leave_behind_is_passed_over(tmp_path):
    files = {
        ".DS_Store": b"x",
        "__MACOSX/a/._1.png": b"x",
        "a/.hidden/1.png": b"x",
        "a/1.png": b"1",
    }
    assert contents(write(tmp_path / "f", files)) == {"a/1.png": b"1"}
    assert contents(zipped(tmp_path / "z.zip", files)) == {"a/1.png": b"1"}


def test_symbolic_links_are_not_followed(tmp_path):
    write(tmp_path / "elsewhere", {"secret.png": b"s"})
    folder = write(tmp_path / "f", {"a/1.png": b"1"})
    (folder / "out.png").symlink_to(tmp_path / "elsewhere" / "secret.png")
    (folder / "outside").symlink_to(tmp_path / "elsewhere")
    (folder / "a" / "round").symlink_to(folder)
    entries, links = listed(folder)
    assert ({n for n in entries if n.endswith("png")}, sorted(links)) == (
        {"a/1.png"},
        ["a/round/", "out.png", "outside/"],
    )
    link = zipfile.ZipInfo("out.png")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("a/1.png", b"1")
    entries, links = listed(tmp_path / "z.zip")
    assert (set(entries), links) == ({"a/1.png"}, ["out.png"])


def test_a_link_put_in_a_files_place_after_the_listing_is_not_followed(tmp_path):
    folder = write(tmp_path / "f", {"1.png": b"1"})
    with opened(folder) as source:
        (entry,) = source.entries()
        (folder / "1.png").unlink()
        (folder / "1.png").symlink_to("/etc/passwd")
        with pytest.raises(errors.Unusable):
            source.read(entry)


def test_a_file_that_is_gone_or_not_ours_is_unusable(tmp_path):
    folder = write(tmp_path / "f", {"1.png": b"1"})
    with opened(folder) as source:
        (entry,) = source.entries()
        (folder / "1.png").unlink()
        with pytest.raises(errors.Unusable, match="No such file"):
            source.read(entry)


# The zip reader beside zipfile

NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\:."), min_size=1, max_size=9
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    files=st.dictionaries(NAMES, st.binary(max_size=300), max_size=8),
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    comment=st.binary(max_size=40),
    before=st.binary(max_size=40),
    zip64=st.booleans(),
)
def test_any_zip_is_read_as_python_reads_it(
    files, method, comment, before, zip64, tmp_path_factory
):
    assume(b"PK\x05\x06" not in comment)  # zipfile itself gives up
    path = tmp_path_factory.mktemp("zip") / "z.zip"
    path.write_bytes(before)
    with zipfile.ZipFile(path, "a", method) as archive:
        archive.comment = comment
        for name, content in files.items():
            with archive.open(name, "w", force_zip64=zip64) as member:
                member.write(content)
    with zipfile.ZipFile(path) as archive:
        expected = {i.filename: archive.read(i) for i in archive.infolist()}
    assert contents(path) == expected


def test_the_mark_of_a_zips_end_in_its_comment_is_no_end(tmp_path):
    path = zipped(tmp_path / "z.zip", {"a.png": b"1"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"PK\x05\x06 and PK\x05\x06"
    assert contents(path) == {"a.png": b"1"}


def test_a_zip_of_more_than_65535_files_is_read(tmp_path):
    path = zipped(tmp_path / "z.zip", {f"{i}.png": b"" for i in range(66_000)})
    entries, _ = listed(path)
    assert len(entries) == 66_000


def test_a_member_beyond_four_gigabytes_is_found(tmp_path):
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", b"first")
        archive.fp.seek(2**32 + 10)  # a hole: nothing is written in between
        archive.start_dir = archive.fp.tell()
        archive.writestr("b.png", b"far away")
    assert contents(path) == {"a.png": b"first", "b.png": b"far away"}
    assert path.stat().st_blocks * 512 < 2**20


def test_backslashes_are_slashes(tmp_path):
    member = zipfile.ZipInfo("x")
    member.filename = "a\\1.png"
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr(member, b"1")
    assert set(listed(tmp_path / "z.zip")[0]) == {"a/1.png"}


# Damage and malice


@pytest.mark.parametrize(
    "name", ["/etc/x.png", "../x.png", "a/../../x.png", "a/..", "C:/x.png", "..\\x.png", "c:x.png"]
)
def test_a_path_that_leads_outside_is_refused(name, tmp_path):
    path = zipped(tmp_path / "z.zip", {"a.png": b"1", name: b"2"})
    with pytest.raises(
        errors.BadFile, match=r"z\.zip: must hold relative paths without '\.\.', got "
    ):
        listed(path)


@pytest.mark.parametrize("name", ["a..b/x.png", "...png", "a/b..png", "xx:y.png"])
def test_dots_in_a_name_lead_nowhere(name, tmp_path):
    listed(zipped(tmp_path / "z.zip", {name: b"1"}))


def test_an_encrypted_zip_is_refused(tmp_path):
    path = zipped(tmp_path / "z.zip", {"a.png": b"1"})
    raw = bytearray(path.read_bytes())
    raw[raw.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(
        errors.BadFile, match=r"z\.zip: must not be encrypted, got 'a\.png', which is\."
    ):
        listed(path)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda raw: b"", "no central directory"),
        (lambda raw: b"hello" * 99, "no central directory"),
        (lambda raw: raw[:-40], "no central directory"),
        (lambda raw: raw[60:], "its beginning is missing"),
        (lambda raw: raw.replace(b"PK\x01\x02", b"PK\x07\x07"), "its central directory is damaged"),
        (lambda raw: raw[: raw.index(b"PK\x05\x06")] + b"PK\x06\x07" + struct.pack("<LQL", 0, 3, 1) + raw[raw.index(b"PK\x05\x06") :], "Zip64"),
    ],
)  # fmt: skip
def test_a_damaged_zip_is_named(damage, words, tmp_path):
    path = zipped(tmp_path / "z.zip", {"a.png": b"1" * 30, "b.png": b"2"})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(
        errors.BadFile, match=rf"z\.zip: must be a folder or a whole zip, .*({words})"
    ):
        listed(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_member_is_unusable_and_the_others_are_read(method, tmp_path):
    path = zipped(tmp_path / "z.zip", {"a.png": b"1" * 300, "b.png": b"2" * 300}, method)
    raw = bytearray(path.read_bytes())
    raw[36] ^= 0x55  # within a.png's own bytes
    path.write_bytes(raw)
    with opened(path) as source:
        a, b = source.entries()
        with pytest.raises(errors.Unusable, match="damaged in the zip: "):
            source.read(a)
        assert source.read(b) == b"2" * 300
        for offset in (7, 2**63, 2**64 - 1):
            with pytest.raises(errors.Unusable, match="does not begin where it should"):
                source.read(a._replace(offset=offset))


def test_a_member_packed_otherwise_is_unusable(tmp_path):
    path = zipped(tmp_path / "z.zip", {"a.png": b"1" * 300}, zipfile.ZIP_LZMA)
    with pytest.raises(errors.Unusable, match="packed in the zip by method 14, not 0 or 8"):
        contents(path)


def test_a_member_that_unpacks_to_more_than_it_says_is_unusable(tmp_path):
    path = zipped(tmp_path / "z.zip", {"a.png": bytes(10**6)}, zipfile.ZIP_DEFLATED)
    with opened(path) as source:
        (entry,) = source.entries()
        with pytest.raises(errors.Unusable, match="its checksum is wrong"):
            source.read(entry._replace(size=1000))


@pytest.mark.parametrize("seed", range(25))
def test_a_zip_with_any_bytes_changed_ends_in_a_word_of_ours(seed, tmp_path):
    dice = np.random.default_rng(seed)
    path = zipped(tmp_path / "z.zip", FILES, zipfile.ZIP_DEFLATED)
    raw = bytearray(path.read_bytes())
    for place in dice.integers(0, len(raw), 6):
        raw[place] = dice.integers(256)
    path.write_bytes(raw)
    try:
        with opened(path) as source:
            for entry in source.entries():
                if max(entry.packed, entry.size) < 2**20:
                    try:
                        source.read(entry)
                    except errors.Unusable:
                        continue
    except errors.BadFile:
        return


def test_a_source_that_is_not_there_is_named(tmp_path):
    with pytest.raises(
        errors.BadFile, match=r"none: no such folder or zip; give the pictures with"
    ):
        listed(tmp_path / "none")


def test_what_cannot_be_asked_ahead_is_left_to_the_reader(tmp_path):
    files = {"a.png": b"1", "b.png": b"22"}
    for path in (write(tmp_path / "f", files), zipped(tmp_path / "z.zip", files)):
        with opened(path) as source:
            there = list(source.entries())
            far = [there[0]._replace(offset=2**64 - 1), there[0]._replace(packed=2**63)]
            source.expect([*far, Entry("nowhere.png", 5), *there])
            assert {e.name: source.read(e) for e in there} == files

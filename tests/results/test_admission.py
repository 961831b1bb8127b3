"""Stores of strangers: what they may hold is checked before any of it is unpacked."""

import json
import os
import shutil
import stat
import zipfile

import pytest
from numcodecs import Blosc, Zstd

import superpos_jax as sp
from superpos_jax.results import admission, archive
from superpos_jax.results.store import read_table, write_table

pytestmark = pytest.mark.unoptimized

SWEEP = sp.Sweep(study="ridge:Ridge", axes={"T": [3, 5]}, cell={"steps": 3})


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A result folder, and its archive."""
    folder = tmp_path_factory.mktemp("stored")
    archive.write(sp.run(SWEEP, out=folder), folder.with_suffix(".zip"))
    return folder


@pytest.fixture
def copy(stored, tmp_path):
    return shutil.copytree(stored, tmp_path / "copy")


def metadata_with(folder, **changes):
    """The store of a folder, whose array of weights says something else."""
    path = folder / "result.zarr" / "w" / "zarr.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def chunks(*sides):
    return {"name": "regular", "configuration": {"chunk_shape": list(sides)}}


PICKLES = [{"name": "bytes"}, {"name": "numcodecs.pickle", "configuration": {}}]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"codecs": PICKLES}, "codecs"),
        ({"codecs": [{"name": "sharding_indexed"}]}, "codecs"),
        ({"data_type": "string"}, "no array of numbers"),
        ({"data_type": {"name": "numpy.object"}}, "no array of numbers"),
        ({"zarr_format": 2}, "not of zarr's format 3"),
        ({"node_type": "group"}, "no array of numbers"),
        ({"shape": [2, 10**12], "chunk_grid": chunks(2, 10**11)}, "its arrays take"),
        ({"shape": [10**6, 2], "chunk_grid": chunks(1, 1)}, "chunks; allowed: 1,000,000"),
        ({"chunk_grid": chunks(10**12, 24)}, "length of a chunk"),
        ({"shape": [-2, -24]}, "length of a chunk"),
        ({"shape": "ab"}, "length of a chunk"),
        ({"chunk_grid": chunks(2, 12)}, "unpacks to"),
        ({"chunk_key_encoding": {"name": "v2"}}, "plain names"),
        ({"codecs": [7]}, "lack something"),
    ],
)
def test_an_array_that_this_package_does_not_write_is_refused(copy, superpos, changes, said):
    metadata_with(copy, **changes)
    code, out, err = superpos("show", copy)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 200_000, "brackets within brackets"),
        ("9" * 5000, "zarr.json"),
        ("[]", "not of zarr's"),
    ],
    ids=["brackets", "digits", "list"],
)
def test_odd_metadata_are_refused_in_one_line(copy, superpos, text, said):
    (copy / "result.zarr" / "zarr.json").write_text(text)
    code, _, err = superpos("show", copy)
    assert (code, err.count("\n")) == (2, 1)
    assert said in err


@pytest.mark.parametrize("place", ["w/c/0/0", "zarr.json", "other"])
def test_a_pipe_in_a_store_is_refused_and_not_waited_for(copy, place):
    path = copy / "result.zarr" / place
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    with pytest.raises(sp.UserError, match=f"{place}: neither a file nor a folder"):
        sp.load(copy)


def test_a_link_in_a_store_is_refused(copy):
    chunk = copy / "result.zarr" / "w" / "c" / "0" / "0"
    chunk.unlink()
    chunk.symlink_to("/dev/zero")
    with pytest.raises(sp.UserError, match="neither a file nor a folder"):
        sp.load(copy)


@pytest.mark.filterwarnings("ignore:Object at .DS_Store")
def test_what_others_leave_in_a_store_is_not_read(copy, stored):
    (copy / "result.zarr" / ".DS_Store").write_text("{")
    assert sp.load(copy).dataset.identical(sp.load(stored).dataset)


@pytest.mark.parametrize("chunk", [b"", b"\x02\x01\x21\x04", Blosc().encode(bytes(10**6))], ids=len)
def test_a_chunk_that_unpacks_to_more_is_refused(copy, chunk):
    (copy / "result.zarr" / "w" / "c" / "0" / "0").write_bytes(chunk)
    with pytest.raises(sp.UserError, match=r"unpacks to|not whole"):
        sp.load(copy)


def test_the_size_of_zstd_is_that_of_its_only_frame(tmp_path):
    def size(packed):
        return admission._of_zstd(admission.File(len(packed), lambda most: packed[:most]))

    for length in (1, 16, 255, 256, 70_000, 300_000):
        for values in (bytes(length), os.urandom(length)):
            for codec in (Zstd(), Zstd(checksum=True)):
                packed = bytes(codec.encode(values))
                assert size(packed) == length
                assert size(packed + packed) == size(packed[:-1]) == -1


def rewritten(path, *, name=None, link=False, packed=False, twice=False):
    """An archive whose first member is another."""
    with zipfile.ZipFile(path) as whole:
        members = [(info.filename, whole.read(info)) for info in whole.infolist()]
    other = path.with_name("other.zip")
    with zipfile.ZipFile(other, "w") as copy:
        for i, (own, content) in enumerate(members):
            info = zipfile.ZipInfo(name if name and not i else own)
            if link and not i:
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            copy.writestr(info, content, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)
        if twice:
            with pytest.warns(UserWarning, match="Duplicate"):
                copy.writestr(zipfile.ZipInfo(members[0][0]), members[0][1])
    return other


@pytest.mark.parametrize(
    "change",
    [
        *({"name": name} for name in ("../x", "/etc/x", "w/../../x", "w\\c", "a/b/zarr.json")),
        *({change: True} for change in ("link", "packed", "twice")),
    ],
    ids=str,
)
def test_an_archive_of_other_members_is_refused(stored, change):
    with pytest.raises(sp.UserError, match=r"no file of a store|allowed: members as they are"):
        sp.load(rewritten(stored.with_suffix(".zip"), **change))


def test_an_archive_unpacks_to_a_bounded_size(stored, monkeypatch):
    path = rewritten(stored.with_suffix(".zip"))
    assert sp.load(path).count(0) == 2
    monkeypatch.setattr(admission, "LARGEST_ARCHIVE", 100)
    with pytest.raises(sp.UserError, match="its arrays take"):
        sp.load(path)


def test_figures_do_not_leave_the_folder_of_their_result(copy, superpos, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (copy / "figures").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "sweep.toml").write_text(SWEEP.to_toml())
    for command in (["plot", copy], ["run", tmp_path / "sweep.toml", "--out", copy]):
        code, _, err = superpos(*command)
        assert (code, err.count("\n")) == (2, 1)
        assert "figures: a link" in err
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("provenance", "[]"),
        ("provenance", '{"earlier": [1]}'),
        ("provenance", '{"versions": 3}'),
        ("swept", "{}"),
        ("retries", "[[1]]"),
        ("cell", "7"),
        ("options", "[" * 5000),
        ("sweep", "9" * 5000),
        ("study", 3),
    ],
)
def test_attributes_of_another_form_are_refused(stored, tmp_path, superpos, name, value):
    write_table(read_table(stored).assign_attrs({name: value}), tmp_path)
    code, _, err = superpos("show", tmp_path)
    assert (code, err.count("\n")) == (2, 1)
    assert "not a readable result" in err


@pytest.mark.parametrize("name", ["verdict", "run"])
@pytest.mark.parametrize("apart", [9, -9])
def test_ends_and_runs_that_there_are_not_are_refused(stored, tmp_path, name, apart):
    table = read_table(stored)
    write_table(table.assign({name: table[name] + apart}), tmp_path)
    with pytest.raises(sp.UserError, match=f"{name}: allowed: whole numbers from -1 to"):
        sp.load(tmp_path)

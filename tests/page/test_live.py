"""The page of results that still train: what is new, and who is answered."""

import json
import os
import urllib.error
from urllib.request import Request, urlopen

import pytest
from page_result import Made

from superpos_jax.page.live import Numbers, serving


@pytest.fixture
def numbers(tmp_path):
    reads = []

    def read(folder):
        reads.append(folder)
        return Made(f"read {len(reads)}")

    return Numbers([tmp_path], read)


def get(address, **headers):
    with urlopen(Request(address, headers=headers), timeout=5) as answer:
        return answer.status, answer.read().decode()


def test_a_page_waits_for_its_folder_and_asks_for_what_is_new(numbers, tmp_path):
    with serving(numbers) as address:
        assert address.startswith("http://127.0.0.1:")
        status, text = get(address)
        assert (status, "refresh" in text) == (202, True)
        store = tmp_path / "result.zarr"
        store.mkdir()
        status, text = get(address)
        assert (status, "read 1" in text) == (200, True)
        _, first = get(f"{address}data?")
        stamp = json.loads(first)["stamp"]
        assert get(f"{address}data?{stamp}") == (204, "")
        os.utime(store, ns=(1, 1))
        status, text = get(f"{address}data?{stamp}")
        assert json.loads(text)["results"][0]["name"] == "read 2"
        assert json.loads(text)["stamp"] != stamp


def test_only_this_machine_is_answered_and_only_with_the_page(numbers):
    with serving(numbers) as address:
        with pytest.raises(urllib.error.HTTPError, match="403"):
            get(address, Host="stranger.example")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(f"{address}result.zarr")

"""The page in a real browser, without a network: open, hover, click, keys, menus, links."""

import shutil
from urllib.parse import parse_qs

import pytest
from page_result import Made

from superpos_jax.page.write import page as html

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
WAIT = 30_000  # milliseconds at most


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(html([Made(), Made("other")]), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        arguments = ["--no-sandbox", "--disable-gpu"]
        opened = started.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser):
    """Open an address; whatever the console complains of, or is asked of a network, fails."""
    complaints, contexts = [], []

    def open_page(address, **look):
        contexts.append(browser.new_context(**look))
        page = contexts[-1].new_page()
        page.set_default_timeout(WAIT)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complain(message.type, message.text))
        page.on("request", lambda request: complain("request", request.url))
        page.goto(address)
        page.locator(".map canvas").first.wait_for()
        return page

    def complain(kind, text):
        local = text.startswith(("file:", "data:", "blob:"))
        if kind in ("error", "warning") or (kind == "request" and not local):
            complaints.append(f"{kind}: {text}")

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def said(page):
    return page.locator(".pane [role=status]").first.text_content()


def control(page, name):
    return page.locator(f"form [name='{name}'], .controls [name='{name}']")


def view_of(page):
    held = parse_qs(page.url.partition("#")[2].split("|")[0])
    return {name: values[0] for name, values in held.items()}


def at(page, column, row, columns, rows):
    """The middle of a cell of the first map, counted from the lower left."""
    frame = page.locator(".map canvas").first.bounding_box()
    # The frame of the cells lies between the axis on the left and the colour bar on the right.
    x = frame["x"] + 50 + (frame["width"] - 110) * (column + 0.5) / columns
    y = frame["y"] + (frame["height"] - 50) * (1 - (row + 0.5) / rows)
    return x, y


def test_a_map_is_hovered_clicked_walked_and_turned(visit, address):
    made = Made()
    page = visit(address)
    mean = float(made.loss(m=2, T=10).mean())
    assert said(page) == f"T = 10, m = 2: test loss {mean:.4g}, mean of 3 seeds, 2.1 to 2.102"

    page.mouse.move(*at(page, 1, 1, 3, 2))
    page.get_by_text("T = 100, m = 3").first.wait_for()

    page.mouse.click(*at(page, 2, 0, 3, 2))
    page.get_by_text("The cell m = 2, T = 1,000, seed = 0").wait_for()
    assert said(page).endswith("1 died or diverged")
    assert view_of(page)["at.T"] == "1000"
    assert page.locator(".pane").nth(1).locator("h3").first.text_content() == (
        "The cell m = 2, T = 10, seed = 0"
    )

    page.locator(".map").first.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    page.get_by_text("The cell m = 3, T = 100, seed = 0").wait_for()
    across = control(page, "across").nth(1)  # of the directions of the vectors
    across.select_option("2")
    assert view_of(page)["directions"] == "2,1"

    control(page, "number").first.select_option("train_loss")
    control(page, "seeds").first.select_option("one")
    control(page, "seed").first.select_option("2")
    expected = float(made.dataset["train_loss"].sel(m=3, T=100, seed=2))
    assert said(page) == f"T = 100, m = 3: train loss {expected:.4g}"

    control(page, "across").first.select_option("seed")
    control(page, "T").first.fill("2")  # its slider
    assert said(page) == f"seed = 2, m = 3: train loss {expected + 0.01:.4g}"

    linked = visit(page.url)
    assert (said(linked), view_of(linked)) == (said(page), view_of(page))


def test_it_is_dark_where_asked_and_fits_a_phone(visit, address):
    dark = visit(address, color_scheme="dark", viewport={"width": 360, "height": 740})
    assert dark.evaluate("getComputedStyle(document.documentElement).backgroundColor") == (
        "rgb(22, 24, 27)"
    )
    assert dark.evaluate("document.documentElement.scrollWidth") <= 360
    first, second = (dark.locator(".pane").nth(k).bounding_box() for k in (0, 1))
    assert second["y"] >= first["y"] + first["height"]

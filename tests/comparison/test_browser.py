"""The page in a real browser, from the disk, with scripts off.

Where there is no Chromium or no Playwright, `page_checks` still reads the HTML and every picture;
what is left out is layout, colours, and what the toggles do.
"""

import shutil
from pathlib import Path

import pytest
from made_runs import made_run
from test_page import ABOUT, DIVERGED, HOSTILE, LR, picture

from lightning_gans.comparison.page import draw
from lightning_gans.comparison.reading import read_run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LEFT_OUT = "layout, contrast, decoded pictures and toggles were not looked at: there is no "
PLAYWRIGHT = pytest.importorskip("playwright.sync_api", reason=f"{LEFT_OUT}Playwright")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason=f"{LEFT_OUT}chromium on the PATH"),
]
CONTRAST = """() => {
  const channels = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const found = channels(getComputedStyle(e).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("title")) continue;
    const style = getComputedStyle(element);
    const colour = element.closest("svg") ? style.fill : style.color;
    const both = [light(channels(colour)), light(behind(element))].sort((a, b) => b - a);
    found.push([(both[0] + 0.05) / (both[1] + 0.05), walker.currentNode.data]);
  }
  return found.sort((a, b) => a[0] - b[0])[0];
}"""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """Returns the page of cells with all that a page can show, and with hostile names."""
    root = tmp_path_factory.mktemp("runs")
    for seed in range(5):
        picture(made_run(root / f"gan/{seed}", seed, floors={"sliced_w": 0.5}))
    for seed in range(3):
        status = DIVERGED if seed == 2 else "finished"
        changes = {LR: HOSTILE, "model.init_args.n_critic": "word" * 50}
        folder = made_run(root / f"{'long' * 30}/{seed}", seed, changes=changes, status=status)
        picture(folder, (500, 400))
    for cell in range(10):
        made_run(root / f"{cell}/0", name=f"cell_{cell}", changes={LR: float(cell)})
    made = [read_run(path) for path in sorted(root.glob("*/[0-9]"))]
    draw(made, root / "compare.html", **{**ABOUT, "title": f"Which one? {HOSTILE}"})
    return root / "compare.html"


@pytest.fixture(scope="module")
def browser():
    with PLAYWRIGHT.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=[(375, "light"), (375, "dark"), (1280, "light"), (1280, "dark")], ids=str)
def page(request, browser, page_file):
    """Yields the open page; whatever it has asked for or complained about is a failure."""
    width, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        java_script_enabled=False,
        offline=True,
    )
    page = context.new_page()
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on("request", lambda request: complaints.append(request.url[:100]))
    page.goto(page_file.as_uri())
    assert complaints.pop(0).endswith("compare.html")
    yield page
    assert [words for words in complaints if not words.startswith("data:")] == []
    context.close()


def test_the_page_is_read_at_every_size_in_every_light(page):
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    ratio, words = page.evaluate(CONTRAST)
    assert ratio >= 4.5, words
    assert "<script>alert(1)</script>" in page.inner_text("h1")
    decoded = page.evaluate("[...document.images].map(i => i.complete && i.naturalWidth > 0)")
    assert len(decoded) == 5
    assert all(decoded)
    sizes = page.evaluate(
        "[...document.querySelectorAll('svg')].map(s => s.viewBox.baseVal.width)"
    )
    assert sizes == [360] * 3
    shown = page.locator("svg:visible")
    assert [shown.nth(i).bounding_box()["width"] > 280 for i in range(shown.count())] == [True]
    assert page.screenshot(full_page=True)[:4] == b"\x89PNG"


def test_every_toggle_works_by_keyboard(page):
    def displayed(selector):
        return page.evaluate(
            "s => [...document.querySelectorAll(s)].map(e => getComputedStyle(e).display)",
            selector,
        )

    assert displayed("#curves .over-updates") == ["block"]
    assert displayed("#curves .over-images") == displayed("#curves .over-seconds") == ["none"]
    page.focus("#over-updates")
    page.keyboard.press("ArrowRight")
    assert displayed("#curves .over-images") == ["block"]
    assert displayed("#curves .over-updates") == ["none"]
    page.keyboard.press("ArrowRight")
    assert displayed("#curves .over-seconds") == ["block"]
    assert set(displayed("#curves .c10")) == {"inline"}
    page.focus("#show-10")
    page.keyboard.press("Space")
    assert set(displayed("#curves .c10")) == {"none"}
    assert set(displayed("#curves .c1")) == {"inline"}
    assert set(displayed("#curves .seeds")) == {"none"}
    page.keyboard.press("Space")
    assert set(displayed("#curves .c10") + displayed("#curves .seeds")) == {"inline"}
    page.uncheck("#show-seeds")
    assert set(displayed("#curves .seeds")) == {"none"}
    for index in range(page.locator("details").count()):
        summary = page.locator("details > summary").nth(index)
        summary.focus()
        page.keyboard.press("Enter")
        assert page.locator("details").nth(index).evaluate("d => d.open")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_wide_tables_scroll_by_themselves_and_their_first_column_stays(page):
    region = page.locator("#scores .wide")
    assert region.get_attribute("tabindex") == "0"
    before = region.locator("tbody th").first.bounding_box()["x"]
    region.evaluate("e => e.scrollTo(1000, 0)")
    assert region.locator("tbody th").first.bounding_box()["x"] == pytest.approx(before, abs=2)


def test_links_lead_to_their_sections(page):
    for index in range(page.locator("nav a").count()):
        link = page.locator("nav a").nth(index)
        link.click()
        assert page.url.endswith(link.get_attribute("href"))
        assert page.locator(link.get_attribute("href")).is_visible()


def test_hidden_pictures_are_drawn_when_they_are_asked_for(page, page_file):
    assert Path(page_file).stat().st_size < 2_000_000
    page.locator("#samples summary").first.click()
    images = page.locator("#samples img:visible")
    assert images.count() >= 3
    assert all(images.nth(i).bounding_box()["width"] > 100 for i in range(images.count()))

"""The page in a browser: Chromium without a window, driven by Selenium; skipped without them."""

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from onnxprune.reports.html import render
from tests.reports.html.records import HOSTILE, group, whole_record

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-prefers-reduced-motion",  # clicks do not wait for a page that scrolls smoothly
)
ACTIVE = "return document.activeElement"

Browser = Any
"""Selenium's driver; its type is there only where Selenium is."""


def record() -> dict[str, Any]:
    """A record with a graph in which one can go down, aside and back up."""
    made = whole_record(HOSTILE)
    made["groups_list"] += [group(3, "side", 16, 12, [0]), group(4, "deep", 16, 12, [])]
    made["groups_list"][0]["next"] += [3]
    made["groups_list"][1]["next"] += [4]
    return made


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser, and the page that it shows."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs Selenium")
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("needs chromium and chromedriver")
    folder = tmp_path_factory.mktemp("browser")
    page = folder / "report.html"
    page.write_text(render(record()), "utf-8")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in (*SWITCHES, f"--user-data-dir={folder / 'profile'}", "--window-size=1200,900"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver, page
    driver.quit()


@pytest.fixture
def browser(opened: tuple[Browser, Path]) -> Browser:
    """The browser with the page as it is at first."""
    driver, page = opened
    driver.get("about:blank")
    driver.get(page.as_uri())
    return driver


def find(browser: Browser, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def number(node: Any) -> str:
    """The number of the group that a node of the graph stands for."""
    return str(node.get_dom_attribute("href")).removeprefix("#group-")


def press(browser: Browser, *keys: str) -> None:
    names = pytest.importorskip("selenium.webdriver").Keys
    for key in keys:
        browser.switch_to.active_element.send_keys(getattr(names, key, key))


def active(browser: Browser, what: str) -> Any:
    return browser.execute_script(f"{ACTIVE}.{what}")


def test_nothing_goes_wrong(browser: Browser) -> None:
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.images.length") == 0


def test_search_finds_a_node_by_what_the_group_is_made_of(browser: Browser) -> None:
    find(browser, "#search").send_keys("/DEEP/conv")
    assert find(browser, "#matches").text == "1 group"
    lit = browser.find_elements("css selector", ".node:not(.out)")
    assert [number(node) for node in lit] == ["4"]
    press(browser, "ENTER")
    assert "channel of deep" in find(browser, "#selected h3").text
    assert active(browser, "id") == "selected"


@pytest.mark.parametrize(
    ("field", "value", "left"),
    [("kind", "blocked", ["2"]), ("state", "pruned", ["0", "1", "3", "4"])],
)
def test_filters_leave_what_fits(browser: Browser, field: str, value: str, left: list[str]) -> None:
    find(browser, f"#{field} option[value='{value}']").click()
    lit = browser.find_elements("css selector", ".node:not(.out)")
    assert sorted(map(number, lit)) == left
    listed = browser.find_elements("css selector", ".groups > li:not([hidden])")
    assert len(listed) == len(left)


def test_a_click_lists_couplings_and_links_lead_on_and_back(browser: Browser) -> None:
    find(browser, ".node[href='#group-1']").click()
    panel = find(browser, "#selected")
    for said in ("channel of body", "body.weight", "/body/Conv", "Made from", "Read to make"):
        assert said in panel.text
    find(browser, "#selected a[href='#group-4']").click()
    assert "channel of deep" in find(browser, "#selected h3").text
    assert number(find(browser, ".node[aria-current]")) == "4"
    find(browser, "#selected a[href='#group-1']").click()
    assert "channel of body" in find(browser, "#selected h3").text


def test_a_layer_leads_to_its_group(browser: Browser) -> None:
    find(browser, "#layers details summary").click()
    find(browser, "#layers a[href='#group-0']").click()
    assert number(find(browser, ".node[aria-current]")) == "0"


def test_the_keyboard_reaches_everything(browser: Browser) -> None:
    for _ in range(100):
        press(browser, "TAB")
        if active(browser, "tagName") == "BODY":
            break
        browser.execute_script("document.activeElement.setAttribute('data-reached', '')")
    missed = browser.execute_script(
        "return [...document.querySelectorAll('a, button, input, select, summary, [tabindex]')]"
        ".filter((each) => each.checkVisibility() && each.tabIndex >= 0)"
        ".filter((each) => !('reached' in each.dataset)).map((each) => each.outerHTML)"
    )
    assert missed == []
    assert find(browser, "#search[data-reached]")
    assert len(browser.find_elements("css selector", ".node[data-reached]")) == 1


def test_arrow_keys_move_and_enter_selects(browser: Browser) -> None:
    browser.execute_script("document.querySelector('.node[tabindex=\"0\"]').focus()")
    press(browser, "HOME")
    assert number(browser.switch_to.active_element) == "0"
    press(browser, "ARROW_DOWN")
    below = number(browser.switch_to.active_element)
    assert below in ("1", "2", "3")
    press(browser, "ARROW_UP")
    assert number(browser.switch_to.active_element) == "0"
    press(browser, "END", "ENTER")
    assert "channel of deep" in find(browser, "#selected h3").text
    assert active(browser, "id") == "selected"
    press(browser, "ESCAPE")
    assert number(browser.switch_to.active_element) == "4"


def test_focus_can_be_seen(browser: Browser) -> None:
    press(browser, "TAB")
    style = f"{ACTIVE.replace('return ', 'return getComputedStyle(')}).outlineStyle"
    assert browser.execute_script(style) == "solid"


def test_keys_and_buttons_zoom(browser: Browser) -> None:
    def width() -> float:
        box: str = find(browser, "#graph").get_dom_attribute("viewBox")
        return float(box.split()[2])

    before = width()
    find(browser, "[data-zoom='in']").click()
    closer = width()
    assert closer < before
    browser.execute_script("document.querySelector('.node[tabindex=\"0\"]').focus()")
    press(browser, "-")
    assert width() > closer


@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_is_never_wider_than_the_window(browser: Browser, width: int) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        browser.refresh()
        wide = browser.execute_script("return document.documentElement.scrollWidth")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide <= width


def spoken(browser: Browser) -> list[dict[str, Any]]:
    """What a screen reader is told, in reading order: role, name, level, liveness."""
    found = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    by_id = {node["nodeId"]: node for node in found}
    told: list[dict[str, Any]] = []
    left = [found[0]]
    while left:
        node = left.pop()
        left += [by_id[i] for i in reversed(node.get("childIds", [])) if i in by_id]
        if not node["ignored"]:
            more = {each["name"]: each["value"].get("value") for each in node.get("properties", [])}
            parts = {key: node.get(key, {}).get("value") for key in ("role", "name", "description")}
            told.append({**more, **parts})
    return told


def test_a_screen_reader_is_told_everything(browser: Browser) -> None:
    browser.execute_script("for (const each of document.querySelectorAll('details')) each.open = 1")
    told = spoken(browser)
    by_role: dict[str, list[dict[str, Any]]] = {}
    for each in told:
        by_role.setdefault(each["role"], []).append(each)
    levels = [each["level"] for each in by_role["heading"]]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(len(by_role[role]) == 1 for role in ("banner", "navigation", "main", "search"))
    landmarks = [each["name"] for each in by_role["region"]]
    assert landmarks == [each["name"] for each in by_role["heading"] if each["level"] == 2]
    fields = ("link", "button", "searchbox", "combobox")
    asked = ("table", "columnheader", "rowheader", "image", "complementary", *fields)
    assert [each for role in asked for each in by_role[role] if not each["name"]] == []
    assert [each["live"] for each in by_role["status"]] == ["polite"]


def test_each_chart_has_a_name_a_text_and_its_numbers(browser: Browser) -> None:
    browser.execute_script("for (const each of document.querySelectorAll('details')) each.open = 1")
    charts = [each for each in spoken(browser) if each["role"] == "image"]
    assert len(charts) == len(browser.find_elements("css selector", ".chart")) >= 5
    assert all(each["name"] and each["description"] for each in charts)
    assert len({each["name"] for each in charts}) == len(charts)
    without = browser.execute_script(
        "return [...document.querySelectorAll('.chart')]"
        ".filter((each) => !each.closest('figure:has(table), section:has(> details table)'))"
        ".map((each) => each.textContent)"
    )
    assert without == []


def test_what_a_search_finds_is_said(browser: Browser) -> None:
    find(browser, "#search").send_keys("deep")
    told = spoken(browser)
    (status,) = [place for place, each in enumerate(told) if each["role"] == "status"]
    assert told[status + 1]["name"] == "1 group"


def test_each_table_has_a_caption_and_heads(browser: Browser) -> None:
    missing = browser.execute_script(
        "return [...document.querySelectorAll('table')]"
        ".filter((each) => !each.caption?.textContent || !each.querySelector('th[scope=col]') ||"
        " [...each.tBodies[0].rows].some((row) => row.cells[0].scope !== 'row'))"
        ".map((each) => each.outerHTML)"
    )
    assert missing == []


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_paper_is_white(browser: Browser, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    media = {"media": "print", "features": features}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        style = "return getComputedStyle(document.body).backgroundColor"
        assert browser.execute_script(style) == "rgb(255, 255, 255)"
        assert not find(browser, "nav").is_displayed()
        assert not find(browser, "#selected").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def test_the_whole_graph_is_printed(browser: Browser) -> None:
    def box() -> str:
        return str(find(browser, "#graph").get_dom_attribute("viewBox"))

    find(browser, "[data-zoom='fit']").click()
    whole = box()
    find(browser, "[data-zoom='in']").click()
    closer = box()
    assert closer != whole
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert box() == whole
    browser.execute_script("dispatchEvent(new Event('afterprint'))")
    assert box() == closer


def test_without_its_script_the_page_still_has_every_group(browser: Browser) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.refresh()
        assert not find(browser, "#search").is_displayed()
        find(browser, ".node[href='#group-1']").click()
        assert browser.current_url.endswith("#group-1")
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})

# Opens report.html of every results folder in Chromium: light and dark, wide and narrow.
#
# Versions: Python 3.11, playwright 1.65.2 (tests/references/requirements.txt), Chromium as installed on
#           the machine: `chromium` or `google-chrome` on the path, or the program that $CHROMIUM names.
# Run:      cargo xtask experiment hateful_memes && cargo xtask references page
#
# Fails where the page asks for anything beyond itself, says anything on the console (a breach of its own
# policy would be said there), is wider than a phone, or a picture or figure has no words. Screenshots are
# left in target/pages to be looked at.
import os
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

root = Path(__file__).resolve().parents[3]
folders = sorted(path.parent for path in (root / "results").glob("*/report.html"))
if not folders:
    raise SystemExit("results/ has no report.html; run `cargo xtask experiment hateful_memes` first")
program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
if not program:
    raise SystemExit("no Chromium: install it, or name the program in $CHROMIUM")
shots = root / "target/pages"
shots.mkdir(parents=True, exist_ok=True)
SIZES = {"wide": (1280, 900), "narrow": (390, 844)}
with sync_playwright() as play:
    browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
    for folder in folders:
        address = (folder / "report.html").as_uri()
        for scheme in ("light", "dark"):
            for size, (width, height) in SIZES.items():
                context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height})
                page = context.new_page()
                asked, said = [], []
                page.on("request", lambda request: asked.append(request.url))
                page.on("console", lambda message: said.append(message.text))
                page.on("pageerror", lambda error: said.append(str(error)))
                page.goto(address)
                page.wait_for_load_state("networkidle")
                others = [url for url in asked if url != address and not url.startswith("data:")]
                assert not others, f"{folder.name}: asks for {others}"
                assert not said, f"{folder.name}: says {said}"
                across = page.evaluate("document.documentElement.scrollWidth")
                assert across <= width, f"{folder.name}: {across} wide in a window of {width}"
                mute = page.evaluate(
                    """[...document.querySelectorAll('svg, img')].filter(it => it.tagName === 'IMG'
                    ? !it.alt : it.getAttribute('role') !== 'img' || !it.querySelector('title')?.textContent
                    || !it.querySelector('desc')?.textContent).length"""
                )
                assert mute == 0, f"{folder.name}: {mute} pictures without words"
                for details in page.query_selector_all("details"):
                    details.evaluate("it => it.open = false")
                page.screenshot(path=shots / f"{folder.name}-{scheme}-{size}.png", full_page=True)
                context.close()
        print(f"{folder.relative_to(root)}: asks nobody, fits a phone, every figure has words")
    browser.close()

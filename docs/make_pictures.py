"""The pictures of README and docs, from what the commands really print: `uv run python docs/make_pictures.py`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

IMAGES = Path(__file__).parent / "images"
ROOT = Path(__file__).resolve().parent.parent
WIDTH = 132
# The format of rich without its web fonts: the picture names no address and uses the reader's own monospace.
FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px;
  line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix" xml:space="preserve">{matrix}</g>
</g>
</svg>
"""


def picture(name: str, command: list[str], cwd: Path) -> None:
    """Run the command and draw its output as an SVG."""
    environ = os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(WIDTH)}
    done = subprocess.run(
        [sys.executable, "-m", "harness", *command], cwd=cwd, env=environ, text=True, capture_output=True, check=True
    )
    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w"), force_terminal=True)  # noqa: PTH123, SIM115
    console.print(Text.from_ansi(f"$ harness {' '.join(command)}\n{done.stdout.rstrip()}"))
    title = f"harness {command[0]}"
    (IMAGES / f"{name}.svg").write_text(
        console.export_svg(title=title, theme=MONOKAI, code_format=FORMAT, unique_id=f"harness-{name}"),
        encoding="utf-8",
    )


def page_picture(name: str, experiment: str, width: int, height: int) -> None:
    """The upper part of a report, as Chromium shows it; nothing where there is no browser."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        subprocess.run([sys.executable, "-m", "harness", "report", experiment, "-o", str(page)], cwd=ROOT, check=True)
        quiet = (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder}/profile",
        )
        shot = (f"--screenshot={IMAGES / f'{name}.png'}", f"--window-size={width},{height}", page.as_uri())
        subprocess.run([browser, *quiet, *shot], check=True, capture_output=True)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "experiments", Path(folder) / "experiments")
        picture("quickstart", ["run", "quickstart"], Path(folder))
    picture("compare", ["compare", "digits-baseline", "digits-final"], ROOT)
    plot = ["show", "latency-macs-bf16-cpu", "--plot", str(IMAGES / "latency-bf16.svg")]
    subprocess.run([sys.executable, "-m", "harness", *plot], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    page_picture("report", "final-cpu", 1000, 1190)


if __name__ == "__main__":
    main()

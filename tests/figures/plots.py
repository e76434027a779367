"""The trade-off plots of a run of the bench, each as an SVG of its own.

`python -m tests.figures.plots RUN OUT.svg`: cuts them out of `RUN/report.html` with the report's
style sheet, so that they look the same in light and dark; a second one becomes `OUT-2.svg`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

from edge_assistant.atomic import write_atomically

_SECTION: Final = re.compile(r'<section id="trade-off".*?</section>', re.DOTALL)
_WIDE: Final = re.compile(r'<div class="wide"><svg(.*?)>(.*?)</svg>', re.DOTALL)
_STYLE: Final = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_BACK: Final = "svg { background: var(--ground); padding: 12px; }"


def plots(page: str) -> list[str]:
    """Every wide drawing of the section on trade-offs, as a document."""
    section, style = _SECTION.search(page), _STYLE.search(page)
    if section is None or style is None:
        return []
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg"{head}>'
        f"<style><![CDATA[{style[1]}\n{_BACK}]]></style>{body}</svg>\n"
        for head, body in _WIDE.findall(section[0])
    ]


def main() -> None:
    run, out = Path(sys.argv[1]), Path(sys.argv[2])
    drawn = plots((run / "report.html").read_text(encoding="utf-8"))
    if not drawn:
        sys.exit(f"no trade-off was measured in {run}")
    for number, text in enumerate(drawn, 1):
        name = out.name if number == 1 else f"{out.stem}-{number}{out.suffix}"
        write_atomically(out.with_name(name), text.encode())
        print(out.with_name(name))


if __name__ == "__main__":
    main()

"""Markup out, speakable lines in (pure, in any language)."""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Final

_JOINERS: Final = "\u200c\u200d"
_EMOJI_MARKS: Final = frozenset("\ufe0e\ufe0f\u20e3")
_KEPT_SYMBOLS: Final = frozenset("°")
_DROPPED: Final = frozenset({"So", "Sk", "Cc", "Cf", "Cs", "Co", "Cn"})

_BLANKS: Final = re.compile(r"[ \t]{2,}|\t")
_FENCE: Final = re.compile(r"^[ \t]*(?:```|~~~).*?(?:^[ \t]*(?:```|~~~)[ \t]*$|\Z)", re.M | re.S)
_TABLE_RULE: Final = re.compile(r"^[ \t]*\|?[ \t:|-]*-{2,}[ \t:|-]*$", re.M)
_RULE: Final = re.compile(r"^[ \t]*(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$", re.M)
_SETEXT: Final = re.compile(r"^={3,}[ \t]*$", re.M)
_LINE_MARK: Final = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[-*+•‣◦][ \t]+(?:\[[ xX]\][ \t])?)")
_ORDERED: Final = re.compile(r"^[ \t]*(\d{1,3})[.)][ \t]+")
_TAG_NAMES: Final = (
    "a|b|i|u|s|p|em|strong|br|hr|div|span|code|pre|h[1-6]|ul|ol|li|table|thead|tbody|tr|td|th|sub|sup|"
    "img|del|ins|blockquote|details|summary|small|big|font|center|think|speak"
)
_TAG: Final = re.compile(rf"</?(?:{_TAG_NAMES})(?:\s[^<>]*)?/?>|<!--.*?-->", re.I | re.S)
_IMAGE_OR_LINK: Final = re.compile(
    r"!?\[([^\[\]\n]*)\](?:\([^()\s]*(?:\s[^()\n]*)?\)|\[[^\[\]\n]*\])"
)
_FOOTNOTE: Final = re.compile(r"\[\^[^\[\]\s]*\]:?")
_TIMES: Final = re.compile(r"(?<=[\w)]) \* (?=[\w(])|(?<=\d)\*(?=\d)")
_UNDERSCORE: Final = re.compile(r"(?<=[^\W_])_+(?=[^\W_])")
_URL: Final = re.compile(
    r"\b(?:https?|ftp)://(?:www\.)?([^\s/<>()\[\]?#:\"']+)[^\s<>()\[\]\"']*", re.I
)
_WWW: Final = re.compile(r"\bwww\.([\w-]+(?:\.[\w-]+)+)[^\s<>()\[\]\"']*", re.I)
_MARKS: Final = re.compile(r"[*`\[\]{}|\\]|~~|_")
_ENDS: Final = frozenset(".!?:;,…\u3002\uff01\uff1f\uff0c\u3001\uff1a\uff1b")
_CLOSERS: Final = "\"'\u2019\u201d\u00bb)"


def without_markup(text: str, *, code_notice: str) -> str:
    """`text` on one line, without markdown, HTML, emoji and control characters.

    Headings, list items and table rows become sentences of their own. A fenced block of code
    becomes `code_notice`; a link becomes its words, a bare URL its host.
    """
    text = without_pictures(html.unescape(text.replace("\r\n", "\n").replace("\r", "\n")))
    text = _BLANKS.sub(" ", text)
    text = _FENCE.sub(f"\n\n{code_notice}\n\n" if code_notice else "\n\n", text)
    for pattern in (_TABLE_RULE, _RULE, _SETEXT):
        text = pattern.sub("", text)
    text = _inline(_as_sentences(text))
    return re.sub(r"\s+", " ", text).strip()


def without_pictures(text: str) -> str:
    """`text` without emoji, other pictures, control and unassigned characters."""
    if text.isascii() and text.isprintable():
        return text
    out = []
    for index, char in enumerate(text):
        if char in _JOINERS:
            # They shape Persian and Indic words; between pictures they are glue.
            around = text[index - 1 : index], text[index + 1 : index + 2]
            out.append(char if all(part and _is_letter(part) for part in around) else "")
        elif char in _EMOJI_MARKS or char == "\u00ad":
            continue
        elif char in "\n\t" or char in _KEPT_SYMBOLS:
            out.append(char)
        elif not char.isascii() and unicodedata.category(char) == "Cf":
            continue
        elif char in "`^" or unicodedata.category(char) not in _DROPPED:
            out.append(char)
        else:
            out.append(" ")
    return "".join(out)


def _is_letter(char: str) -> bool:
    return unicodedata.category(char)[0] in "LM"


def _as_sentences(text: str) -> str:
    """Headings, items and rows end a sentence, and so does a line before them or before a gap.

    Other line breaks are soft.
    """
    lines = [_plain_line(line) for line in text.split("\n")]
    last = max((index for index, (line, _) in enumerate(lines) if line), default=-1)
    out: list[str] = []
    for index, (line, is_block) in enumerate(lines[: last + 1]):
        before_gap = index < last and (not lines[index + 1][0] or lines[index + 1][1])
        out.append(_ended(line) if line and (is_block or before_gap) else line)
    return "\n".join(out)


def _plain_line(line: str) -> tuple[str, bool]:
    """The line without its block marks, and whether it had any."""
    is_block = False
    while match := _LINE_MARK.match(line):
        line, is_block = line[match.end() :], True
    if match := _ORDERED.match(line):
        line, is_block = f"{match[1]}. {line[match.end() :]}", True
    stripped = line.strip()
    if stripped.startswith("|") and stripped.endswith("|") and len(stripped) > 2:
        cells = [cell.strip() for cell in stripped.strip("|").split("|")]
        return ", ".join(cell for cell in cells if cell), True
    return re.sub(r"\s#+$", "", stripped) if is_block else stripped, is_block


def _ended(line: str) -> str:
    return line if line.rstrip(_CLOSERS + "*_`~ ")[-1:] in _ENDS else f"{line}."


def _inline(text: str) -> str:
    text = _TAG.sub(" ", text)
    text = _FOOTNOTE.sub("", text)
    text = _IMAGE_OR_LINK.sub(r"\1", text)
    text = _URL.sub(_host, text)
    text = _WWW.sub(_host, text)
    text = _TIMES.sub(" \u00d7 ", text)
    text = _UNDERSCORE.sub(" ", text)
    return _MARKS.sub("", text)


def _host(match: re.Match[str]) -> str:
    """The host alone; a full stop or comma that ended the sentence stays."""
    host = match[1].rstrip(".,;:!?")
    tail = match[0][len(match[0].rstrip(".,;:!?")) :]
    return host + tail

"""What holds for every page, found by reading its HTML and its pictures without a browser."""

import re
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree

VOID = {"meta", "link", "input", "img", "br", "wbr"}


class Page(HTMLParser):
    """Elements, texts and identifiers of a page; refuses tags that do not match.

    Attributes:
        elements: names and attributes in their order.
        texts: all texts, those of one element together.
    """

    def __init__(self, html):
        super().__init__()
        self.elements, self._open, self._texts = [], [], []
        self.feed(html)
        self.close()
        assert self._open == []
        self.text = re.sub(r"\s+", " ", "".join(self._texts))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] not in ("style", "title"):
            self._texts.append(data)

    def all(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]


def checked(html):
    """Returns the page, after checking that it is whole, safe and readable for all."""
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>")
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    assert not {"script", "iframe", "object", "base", "form"} & {tag for tag, _ in page.elements}
    identifiers = [a["id"] for _, a in page.elements if "id" in a]
    assert len(identifiers) == len(set(identifiers))
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href"):
            address = attributes.get(name, "#")
            assert address.startswith(("#", "data:image/", "data:,")), address
            assert address[:1] != "#" or address == "#" or address[1:] in identifiers, address
    for used in re.findall(r"url\(([^)]*)\)", html):
        assert used[1:] in identifiers, used
    assert not re.search(r"@import|https?:(?!//www\.w3\.org/2000/svg)", html)
    for svg in re.findall(r"<svg.*?</svg>", html, re.S):
        ElementTree.fromstring(svg)
    for attributes in page.all("svg"):
        assert (attributes["role"], bool(attributes["aria-label"])) == ("img", True)
    assert all(attributes["alt"] for attributes in page.all("img"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert page.all("html")[0]["lang"] == "en"
    return page

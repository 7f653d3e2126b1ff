"""Check that what the pages of a built site refer to within it is there: `python docs/check_links.py docs/_build/html`."""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit


class Page(HTMLParser):
    """The names that a page can be entered by, and what it refers to."""

    def __init__(self, path):
        super().__init__()
        self.names, self.references = {"", "top"}, []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id" or (tag == "a" and name == "name"):
                self.names.add(value)
            elif name in {"href", "src"} and value:
                self.references.append(value)


def broken(site):
    """Pairs of a page and a reference that leads nowhere."""
    # The theme leaves a template among its files.
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}
    for path, page in pages.items():
        for reference in page.references:
            url, name = urldefrag(reference)
            if urlsplit(url).scheme or url.startswith("//"):
                continue
            target = (path.parent / unquote(urlsplit(url).path)).resolve() if url else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists() or (target in pages and unquote(name) not in pages[target].names):
                yield path.relative_to(site.resolve()), reference


def main():
    found = list(broken(Path(sys.argv[1])))
    for page, reference in found:
        print(f"{page}: {reference} leads nowhere")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())

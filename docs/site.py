"""Hooks of mkdocs: pages outside of docs/ become part of the website, and so do the files that pages link to.

Links are written for readers of the repository, relative to the file that they are in. The build fails when one leads nowhere.
"""

import pathlib
import re
from urllib.parse import urlsplit

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
# Pages outside of docs/, by their name on the website.
PAGES = {
    "index.md": "README.md",
    **{
        name: name
        for name in [
            "ARCHITECTURE.md",
            "CHANGELOG.md",
            "CONTRIBUTING.md",
            "SECURITY.md",
            "models/overheard-small/README.md",
        ]
    },
}
# Pages that are written elsewhere at this moment; they join the navigation when they are there.
EXPECTED = ["sql.md"]
LINK = re.compile(r"(\]\()([^)\s]+)(\))")


def on_config(config):
    """Leaves pages out of the navigation that do not exist yet."""
    missing = [page for page in EXPECTED if not (DOCS / page).exists()]
    for section in config.nav:
        for name, pages in section.items():
            section[name] = [page for page in pages if not set(page.values()) & set(missing)]
    return config


def on_files(files, config):
    """Adds the pages outside of docs/, and every other file that a page links to."""
    for name, source in PAGES.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text()))
    linked = {target for page in files.documentation_pages() for target in links(page.src_uri, page.content_string)}
    for target in sorted(linked):
        if files.get_file_from_path(site_path(target)) is None:
            files.append(File.generated(config, site_path(target), abs_src_path=str(target)))
    return files


def on_page_markdown(markdown, page, **_):
    """Points links at the website's own paths."""
    return LINK.sub(lambda match: match[1] + moved(page.file.src_uri, match[2]) + match[3], markdown)


def links(page, markdown):
    """Files of the repository that a page links to."""
    found = (resolved(page, match[2]) for match in LINK.finditer(markdown))
    return {target for target in found if target is not None}


def resolved(page, link):
    """The file that a link leads to; None for another site and for a place in the page itself."""
    address = urlsplit(link)
    if address.scheme or address.netloc or not address.path:
        return None
    source = ROOT / PAGES[page] if page in PAGES else DOCS / page
    target = (source.parent / address.path).resolve()
    if target.is_dir():
        target = target / "README.md"
    if not target.is_file() or ROOT not in target.parents:
        raise PluginError(f"{source.relative_to(ROOT)} links to {link}, which does not exist")
    return target


def site_path(target):
    """Where a file of the repository is on the website."""
    name = target.relative_to(ROOT).as_posix()
    for page, source in PAGES.items():
        if source == name:
            return page
    # A configuration or a script is shown by browsers only as text.
    name = name.removeprefix("docs/")
    return name if target.suffix in {".md", ".png", ".svg", ".json"} else f"{name}.txt"


def moved(page, link):
    """A link as the website needs it."""
    target = resolved(page, link)
    if target is None:
        return link
    place = pathlib.PurePosixPath(site_path(target))
    up = len(pathlib.PurePosixPath(page).parts) - 1
    anchor = urlsplit(link).fragment
    return "../" * up + place.as_posix() + (f"#{anchor}" if anchor else "")

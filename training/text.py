"""The one normalisation of a text that every head was trained on.

The Rust side repeats it with an offset map to the original:

1. HTML entities are decoded (`&amp;` -> `&`).
2. A link (`http://...`, `https://...`, `www...`, up to white space) becomes `http`.
3. A user name (`@` and letters, digits, `_`, not after a letter, digit, `_` or `@`)
   becomes `@user`.

Everything else, emoji and hashtags above all, is left for the tokenizer.
"""

import html
import re

LINK = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
USER = re.compile(r"(?<![\w@])@\w+")

STATED = (
    "HTML entities decoded; links (http://, https://, www. up to white space) -> http; "
    "user names (@ and word characters, not after a word character or @) -> @user"
)


def normalise(text: str) -> str:
    """Applies the three steps, in this order."""
    return USER.sub("@user", LINK.sub("http", html.unescape(text)))

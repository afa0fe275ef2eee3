"""Texts in which Markdown must not see markup."""

_SPECIALS = str.maketrans({char: f"\\{char}" for char in r"\`*_{}[]<>()#+-!|~&"})


def escape(text: str) -> str:
    """The text so that Markdown shows it as it stands."""
    return text.translate(_SPECIALS)

"""Values of a flag that may differ by name: by language, or by direction."""

from typing import Dict, Optional, Sequence

from .errors import BadInput


def named_values(flag: str, text: Optional[str], names: Sequence[str]) -> Dict[str, str]:
    """The value of a flag for each name; those that it does not mention are left out.

    Args:
        flag: for messages.
        text: ``VALUE``, for all names, or ``NAME=VALUE,NAME=VALUE``; None where the flag is not given.

    >>> named_values("--tokenize", "intl", ["ko", "en"])
    {'ko': 'intl', 'en': 'intl'}
    >>> named_values("--tokenize", "ko=ko-mecab", ["ko", "en"])
    {'ko': 'ko-mecab'}
    >>> named_values("--tokenize", "fr=intl", ["ko", "en"])
    Traceback (most recent call last):
    fairseq_dsl.errors.BadInput: --tokenize fr=intl: expected VALUE or NAME=VALUE,... of ko and en, found 'fr=intl'
    """
    if text is None:
        return {}
    if text and "=" not in text and "," not in text:
        return dict.fromkeys(names, text)
    found: Dict[str, str] = {}
    for item in text.split(","):
        name, _, value = item.partition("=")
        if name not in names or not value or name in found:
            expected = f"VALUE or NAME=VALUE,... of {' and '.join(names)}"
            again = " a second time" if name in found else ""
            raise BadInput(f"{flag} {text}: expected {expected}, found {item!r}{again}")
        found[name] = value
    return found

"""Names as people type them: one Unicode form, nothing that breaks a line."""

import unicodedata

# They turn around the text that follows the name, too.
_TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def nfc(name: str) -> str:
    """Return a name in the form in which names are compared: systems spell "é" in two ways."""
    return unicodedata.normalize("NFC", name)


def spellings(name: str) -> tuple[str, str, str]:
    """Return a name as it is, and as other systems may have spelled it on disk."""
    return name, nfc(name), unicodedata.normalize("NFD", name)


def breaks_line(name: str) -> bool:
    """Tell whether a name holds control characters, line breaks or what is no text."""
    kinds = {"Cc", "Cs", "Zl", "Zp"}
    return not name.isprintable() and not kinds.isdisjoint(map(unicodedata.category, name))


def is_class_name(name: str) -> bool:
    """Tell whether a name can be seen, and shown within other text; joiners inside are no fault."""
    seen = any(unicodedata.category(letter)[0] not in "CZ" for letter in name)
    return seen and not breaks_line(name) and not _TURNS & set(map(unicodedata.bidirectional, name))

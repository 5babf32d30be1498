"""Reading fairseq's dictionaries."""

from fairseq.data import Dictionary

from .errors import BadInput, first_line


def load_dictionary(path: str) -> Dictionary:
    """A dictionary; `BadInput` names the file where fairseq cannot read it."""
    try:
        dictionary = Dictionary.load(path)
    except Exception as error:  # of a kind for each fault: not UTF-8, without counts, a symbol twice
        raise BadInput(f"{path}: not a dictionary of fairseq ({first_line(error)}); run fairseq-preprocess again") from error
    if len(dictionary) == dictionary.nspecial:
        raise BadInput(f"{path}: contains no word; run fairseq-preprocess again")
    return dictionary

"""sentencepiece: learning pieces from text, and dividing text into pieces."""

import io
import itertools
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import List, Sequence

from .options import RecipeError
from .processes import show
from .text import SPACE_MARK, read_lines

try:
    import sentencepiece
except ImportError:
    sys.exit(
        f"error: {sys.executable} has no sentencepiece: install fairseq_dsl into that Python (pip install .), "
        f"or set PYTHON to one that has it"
    )

VERSION = sentencepiece.__version__
# A run of characters that the vocabulary lacks is one piece. fairseq must not mistake it for one of its own symbols.
_FAIRSEQ_SYMBOLS = frozenset(("<s>", "<pad>", "</s>", "<unk>"))


def train(texts: Sequence[Path], model: Path, vocab_size: int, character_coverage: float, shown_folder: Path) -> None:
    """Train one BPE model on all `texts` together. Their lines are `clean` already, and are not normalized again."""
    options = dict(
        model_type="bpe",
        vocab_size=vocab_size,
        hard_vocab_limit=False,  # a small corpus has fewer pieces than requested: use all there are
        character_coverage=character_coverage,
        normalization_rule_name="identity",
        input_sentence_size=2_000_000,
        shuffle_input_sentence=True,
    )
    # The Python package has no such command, but readers who have the C++ tools can type it.
    text_folder = model.parent.name
    command = [
        "spm_train",
        "--input=" + ",".join(f"{text_folder}/{text.name}" for text in texts),
        f"--model_prefix={text_folder}/{model.stem}",
        *(f"--{name}={str(value).lower()}" for name, value in options.items()),
    ]
    show(command, shown_folder)
    sentencepiece.set_random_generator_seed(1)  # chooses the sentences if there are more than input_sentence_size
    trained = io.BytesIO()

    def train_in_thread() -> None:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=itertools.chain.from_iterable(map(read_lines, texts)),
            model_writer=trained,
            minloglevel=2,
            **options,
        )

    thread = ThreadPoolExecutor(1)
    training = thread.submit(train_in_thread)
    thread.shutdown(wait=False)
    try:
        training.result()  # in a thread, so that Ctrl-C does not have to wait for it
    except RuntimeError as error:
        raise RecipeError(
            f"sentencepiece could not train {model.name} with --vocab-size {vocab_size}: {error}. "
            f"If there are more characters than that, raise --vocab-size or lower --character-coverage"
        ) from None
    model.write_bytes(trained.getvalue())


def encode(model: Path, text: Path, pieces: Path) -> None:
    """Write the pieces of each line of `text`; joined again, they are checked to give the line."""
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    with open(pieces, "w", encoding="utf-8", newline="\n") as file:
        for line in read_lines(text):
            encoded: List[str] = []
            for piece in processor.encode(line, out_type=str):
                encoded.extend(piece if piece in _FAIRSEQ_SYMBOLS else [piece])
            if "".join(encoded).replace(SPACE_MARK, " ").strip() != line:
                raise RecipeError(f"sentencepiece's pieces do not give back this sentence of {text.name}: {line!r}")
            file.write(" ".join(encoded) + "\n")

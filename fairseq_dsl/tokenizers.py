"""sacrebleu's tokenizer for each language: by the language, unless a flag chooses another."""

import re
from typing import Dict, Optional, Sequence

from sacrebleu.metrics import BLEU

from .errors import BadInput, first_line
from .named_values import named_values

CHINESE = "zh cmn yue wuu nan hak gan hsn lzh zho chi cn"
JAPANESE = "ja jpn jp"
KOREAN = "ko kor"
OTHERS_WITHOUT_SPACES = "th tha lo lao km khm my mya bur shn mnw ksw bo bod tib dz dzo"
TOKENIZERS = {
    **dict.fromkeys(CHINESE.split(), "zh"),
    **dict.fromkeys(JAPANESE.split(), "char"),
    **dict.fromkeys(OTHERS_WITHOUT_SPACES.split(), "char"),
}
"""sacrebleu's tokenizers by base language, for languages written without spaces between words.

All others use 13a, sacrebleu's default. So does Korean: it has spaces, and sacrebleu's ko-mecab, like ja-mecab, needs
more packages, so that the same command would give other scores on another machine. The flags can choose these.
"""

ALTERNATIVES = {**dict.fromkeys(JAPANESE.split(), "ja-mecab"), **dict.fromkeys(KOREAN.split(), "ko-mecab")}
_MODEL = "sentencepiece (pip install sentencepiece) and its model, which sacrebleu downloads when it is first used"
REQUIREMENTS = {
    "ja-mecab": 'pip install "sacrebleu[ja]"',
    "ko-mecab": 'pip install "sacrebleu[ko]"',
    **dict.fromkeys(["spm", "flores101", "flores200", "spBLEU-1K"], _MODEL),
}


def base_language(language: str) -> str:
    """
    >>> [base_language(language) for language in ("de", "zh_Hans", "ZH-tw", "zho_Hans")]
    ['de', 'zh', 'zh', 'zho']
    """
    return re.split(r"[^a-z]", language.lower())[0]


def tokenizer_for(language: str, chosen: Optional[str] = None) -> str:
    """The name of sacrebleu's tokenizer for a language, unless one is chosen.

    >>> [tokenizer_for(language) for language in ("de", "zh_Hans", "ZH-tw", "ja_XX", "tha_Thai", "ko")]
    ['13a', 'zh', 'zh', 'char', 'char', '13a']
    """
    return chosen or TOKENIZERS.get(base_language(language), BLEU.TOKENIZER_DEFAULT)


def alternative(flag: str, language: str) -> Optional[str]:
    """What to say of a tokenizer that nobody chose, where a better known one requires more packages; None elsewhere.

    >>> alternative("--tokenize", "ko")
    '--tokenize ko=ko-mecab is the alternative, which requires pip install "sacrebleu[ko]"'
    """
    other = ALTERNATIVES.get(base_language(language))
    return other and f"{flag} {language}={other} is the alternative, which requires {REQUIREMENTS[other]}"


def chosen_tokenizers(flag: str, text: Optional[str], languages: Sequence[str]) -> Dict[str, str]:
    """The tokenizers that a flag chooses, by language.

    Args:
        text: ``TOKENIZER``, for all languages, or ``LANG=TOKENIZER,LANG=TOKENIZER``; None where the flag is not given.

    Raises `BadInput` for a tokenizer that sacrebleu does not have, or that lacks its package.
    """
    chosen = named_values(flag, text, languages)
    for tokenizer in chosen.values():
        if tokenizer not in BLEU.TOKENIZERS:
            raise BadInput(f"{flag}: expected one of {', '.join(BLEU.TOKENIZERS)}, found {tokenizer}")
        try:
            BLEU(tokenize=tokenizer)
        except (Exception, SystemExit) as error:  # missing packages; a download that failed may end the process
            requires = REQUIREMENTS.get(tokenizer, "more than is installed")
            raise BadInput(f"{flag} {tokenizer}: requires {requires} ({first_line(error)})") from error
    return chosen

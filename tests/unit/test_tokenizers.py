"""sacrebleu's tokenizer for each language."""

import urllib.error

import pytest

from fairseq_dsl import tokenizers
from fairseq_dsl.errors import BadInput

LANGUAGES = ("ko", "en")


@pytest.mark.parametrize("tokenizer, languages", [
    ("zh", ["zh", "zh_Hans", "zh-cn", "ZH_TW", "zh.tok", "zho_Hant", "zho_Hans", "zh_cn", "cmn", "yue_Hant"]),
    ("char", ["ja", "ja_XX", "jpn_Jpan", "th", "th_TH", "lo", "km", "khm_Khmr", "my", "my_MM", "bo", "bod_Tibt", "dz"]),
    ("13a", ["de", "en", "de_DE", "ko", "ko_KR", "vi", "ru", "ar", "hi", "tr", "lv", "zha", "thx", "jav"]),
])  # fmt: skip
def test_the_base_language_decides(tokenizer, languages):
    found = {language: tokenizers.tokenizer_for(language) for language in languages}
    assert found == dict.fromkeys(languages, tokenizer)
    assert tokenizers.tokenizer_for(languages[0], "intl") == "intl"


@pytest.mark.parametrize("text, chosen", [
    (None, {}),
    ("char", {"ko": "char", "en": "char"}),
    ("ko=char", {"ko": "char"}),
    ("en=intl,ko=char", {"ko": "char", "en": "intl"}),
])  # fmt: skip
def test_a_flag_chooses_for_each_language(text, chosen):
    assert tokenizers.chosen_tokenizers("--tokenize", text, LANGUAGES) == chosen


@pytest.mark.parametrize("text, found", [
    ("fr=13a", "'fr=13a'"),
    ("ko=", "'ko='"),
    ("", "''"),
    ("ko=char,", "''"),
    ("ko=char,ko=zh", "'ko=zh' a second time"),
])  # fmt: skip
def test_other_forms_are_refused(text, found):
    with pytest.raises(
        BadInput, match=f"^--tokenize {text}: expected VALUE or NAME=VALUE,... of ko and en, found {found}$"
    ):
        tokenizers.chosen_tokenizers("--tokenize", text, LANGUAGES)


@pytest.mark.parametrize("tokenizer, error, requires", [
    ("ko-mecab", RuntimeError("\nKorean requires extra dependencies\n\n    pip install\n"), r'"sacrebleu\[ko]"'),
    ("ja-mecab", RuntimeError("\nJapanese requires extra dependencies\n"), r'pip install "sacrebleu\[ja]"'),
    ("flores200", ImportError("\n\nPlease install the sentencepiece library"), "pip install sentencepiece"),
    ("spm", urllib.error.URLError("no network"), "sacrebleu downloads"),
    ("flores101", SystemExit(1), "sacrebleu downloads"),
])  # fmt: skip
def test_one_line_says_what_a_tokenizer_requires(monkeypatch, tokenizer, error, requires):
    def fails(self, **keywords):
        raise error

    monkeypatch.setattr(tokenizers.BLEU, "__init__", fails)
    with pytest.raises(BadInput, match=f"^--tokenize {tokenizer}: requires .*{requires}") as caught:
        tokenizers.chosen_tokenizers("--tokenize", f"ko={tokenizer}", LANGUAGES)
    assert "\n" not in str(caught.value)


def test_japanese_and_korean_have_an_alternative():
    languages = ("ja_XX", "kor_Hang", "de", "zh")
    found = [tokenizers.alternative("--tokenize", language) for language in languages]
    assert [bool(text) for text in found] == [True, True, False, False]
    assert found[0].startswith("--tokenize ja_XX=ja-mecab ") and found[0].endswith('pip install "sacrebleu[ja]"')

"""What tuning scores translations by."""

import pytest
from sacrebleu.metrics import BLEU, CHRF

from fairseq_dsl.errors import BadInput
from fairseq_dsl_cli.tuning.measure import metric_of


@pytest.mark.parametrize(
    ("direction", "tokenize", "expected"),
    [
        ("de-en", None, "13a"),
        ("en-ja", None, "char"),
        ("ja-en", None, "13a"),
        ("en-zh_Hans", None, "zh"),
        ("en-de", "intl", "intl"),
        ("en-zh-tw", "zh", "zh"),
    ],
)
def test_bleu_is_tokenized_by_the_target_language(direction, tokenize, expected):
    metric = metric_of(direction, tokenize)
    assert isinstance(metric, BLEU) and metric.tokenizer.signature() == expected


def test_chrf_where_it_is_asked_for():
    assert isinstance(metric_of("en-zh-tw", chrf=True), CHRF)


@pytest.mark.parametrize("direction", ["en-zh-tw", "zh-cn-en"])
def test_asks_for_a_tokenizer_where_the_target_language_is_not_clear(direction):
    with pytest.raises(
        BadInput, match=f"{direction}: where its target language begins is not clear; choose one with --tokenize"
    ):
        metric_of(direction)


def test_a_tokenizer_that_cannot_be_used_is_named():
    with pytest.raises(BadInput, match="--tokenize nonsense"):
        metric_of("de-en", "nonsense")

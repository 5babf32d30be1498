"""What tuning scores translations by."""

import pytest
from sacrebleu.metrics import BLEU, CHRF

from fairseq_dsl.errors import BadInput
from fairseq_dsl_cli.tuning.measure import metric_of


@pytest.mark.parametrize(
    ("language", "tokenize", "expected"),
    [
        ("en", None, "13a"),
        ("ja", None, "char"),
        ("zh_Hans", None, "zh"),
        ("de", "intl", "intl"),
        ("zh-tw", None, "zh"),
    ],
)
def test_bleu_is_tokenized_by_the_target_language(language, tokenize, expected):
    metric = metric_of(language, tokenize)
    assert isinstance(metric, BLEU) and metric.tokenizer.signature() == expected


def test_chrf_where_it_is_asked_for():
    assert isinstance(metric_of("zh-tw", chrf=True), CHRF)


def test_a_tokenizer_that_cannot_be_used_is_named():
    with pytest.raises(BadInput, match="--tokenize nonsense"):
        metric_of("en", "nonsense")

"""How text is cut into words for BLEU: by the language, alike in validation, in the risk and in evaluation."""

import logging
from types import SimpleNamespace

import pytest
import sacrebleu
import tiny
from fairseq import tasks
from omegaconf import OmegaConf

from fairseq_dsl import bleu
from fairseq_dsl.directions import Direction
from fairseq_dsl.errors import BadInput

CHINESE = "zh_Hans"
# As sentencepiece cuts it: no sentence has a space.
PAIRS = [
    (["w1", "w2", "w3", "w4", "w5"], ["▁我们", "在", "花园", "里", "散步", "。"]),
    (["w3", "w4", "w5", "w6", "."], ["▁孩子", "在", "河边", "玩", "球", "。"]),
]
DICTIONARIES = {
    language: tiny.dictionary(word for pair in PAIRS for word in pair[side])
    for side, language in enumerate(("de", CHINESE))
}
DIRECTIONS = (f"de-{CHINESE}", f"{CHINESE}-de")


@pytest.mark.parametrize("chosen, message", [
    ("13b", "--eval-bleu-tokenizer: expected one of none, zh, 13a, intl, .*, found 13b"),
    ("de=13a,en=13b", "--eval-bleu-tokenizer: expected one of none, zh, 13a, intl, .*, found 13b"),
    ("de=13a,intl", "--eval-bleu-tokenizer de=13a,intl: expected VALUE or NAME=VALUE.* found 'intl'"),
], ids=["unknown", "unknown for a language", "neither form"])  # fmt: skip
def test_bad_tokenizers_are_named(chosen, message):
    with pytest.raises(BadInput, match=f"^{message}$"):
        bleu.check_tokenizer(chosen, False)


def test_a_tokenizer_without_effect_is_named():
    message = "--eval-bleu-tokenizer zh: has no effect with --eval-tokenized-bleu; expected only one of the two"
    with pytest.raises(BadInput, match=f"^{message}$"):
        bleu.check_tokenizer("zh", True)


def test_a_tokenizer_of_another_language_is_named():
    flags = SimpleNamespace(eval_tokenized_bleu=False, eval_bleu_tokenize="fr=13a", source_lang="de", target_lang="en")
    with pytest.raises(BadInput, match="^--eval-bleu-tokenizer fr=13a: expected .* of de and en, found 'fr=13a'$"):
        bleu.tokenizer_of(flags, "en")


@pytest.mark.parametrize("chosen, said", [
    (None, "sacrebleu's tokenizer 13a (--eval-bleu-tokenizer ko=ko-mecab is the alternative, which requires "
           'pip install "sacrebleu[ko]")'),
    ("ko=13a", "sacrebleu's tokenizer 13a"),
    ("en=intl,ko=char", "sacrebleu's tokenizer char"),
])  # fmt: skip
def test_the_log_names_the_alternative_where_nobody_has_chosen(chosen, said):
    flags = SimpleNamespace(eval_tokenized_bleu=False, eval_bleu_tokenize=chosen, source_lang="en", target_lang="ko")
    assert bleu.tokenizer_to_log(flags, "ko") == said


@pytest.fixture
def data(tmp_path):
    tiny.write_data(tmp_path, PAIRS, DICTIONARIES, languages=("de", CHINESE))
    return tmp_path


def pair(folder, criterion="dsl_cross_entropy", **settings):
    """A pair that learns German and Chinese."""
    cfg = tiny.pair_config(folder, source="de", target=CHINESE)
    for name, value in {"eval_bleu": True, "eval_bleu_remove_bpe": "sentencepiece", **settings}.items():
        cfg.task[name] = value
    task = tasks.setup_task(cfg.task)
    made = SimpleNamespace(task=task, model=task.build_model(cfg.model))
    made.criterion = task.build_criterion(
        OmegaConf.create({"_name": criterion, "sentence_avg": False, "dsl_lambda": 0})
    )
    task.load_dataset("valid")
    return made


def translates(task, direction, monkeypatch):
    """Have a task translate every sentence as the first of the batch; return hypotheses and references as text."""
    language = direction.partition("-")[2]
    symbols, side = DICTIONARIES[language], int(language == CHINESE)
    hypothesis = tiny.encode(PAIRS[0][side], symbols)
    monkeypatch.setattr(task, "inference_step", lambda *args, **keywords: [[{"tokens": hypothesis}]] * len(PAIRS))
    texts = [symbols.string(tiny.encode(pair[side], symbols), "sentencepiece") for pair in PAIRS]
    return [texts[0]] * len(PAIRS), texts


@pytest.mark.parametrize("settings, tokenizers", [
    ({}, ("zh", "13a")),
    ({"eval_bleu_tokenize": "char"}, ("char", "char")),
    ({"eval_bleu_tokenize": "de=intl"}, ("zh", "intl")),
    ({"eval_bleu_tokenize": "zh_Hans=char,de=none"}, ("char", "none")),
    ({"eval_tokenized_bleu": True}, ("none", "none")),
])  # fmt: skip
def test_validation_scores_each_direction_by_its_target(data, monkeypatch, settings, tokenizers, caplog):
    caplog.set_level(logging.INFO)
    made = pair(data, **settings)
    logged = [record.getMessage() for record in caplog.records if "tokenizer" in record.getMessage()]
    assert logged == [
        f"BLEU of {d} in validation: with sacrebleu's tokenizer {t}" for d, t in zip(DIRECTIONS, tokenizers)
    ]
    texts = {d: translates(made.task.tasks[Direction.parse(d, DIRECTIONS)], d, monkeypatch) for d in DIRECTIONS}
    sums = made.task.valid_step(tiny.batch(made.task.dataset("valid")), made.model, made.criterion.eval())[2]
    for direction, tokenizer in zip(DIRECTIONS, tokenizers):
        wanted = bleu.bleu_sums(
            sacrebleu.corpus_bleu(texts[direction][0], [texts[direction][1]], tokenize=tokenizer), direction
        )
        found = {key: value for key, value in sums.items() if key in wanted}
        assert sorted(found.values()) == sorted(wanted.values()) and found == wanted
    assert len([record for record in caplog.records if "tokenizer" in record.getMessage()]) == 2  # said once


def test_the_translation_task_validates_by_the_same_rule(data, monkeypatch):
    cfg = tiny.translation_config(data, source="de", target=CHINESE)
    cfg.task.eval_bleu, cfg.task.eval_bleu_remove_bpe = True, "sentencepiece"
    task = tasks.setup_task(cfg.task)
    model = task.build_model(cfg.model)
    task.load_dataset("valid")
    hypotheses, references = translates(task, DIRECTIONS[0], monkeypatch)
    found = task._inference_with_bleu(None, tiny.batch(task.dataset("valid")), model)
    assert found.score == sacrebleu.corpus_bleu(hypotheses, [references], tokenize="zh").score
    assert sacrebleu.corpus_bleu(hypotheses, [references]).sys_len == len(
        PAIRS
    )  # unchanged elsewhere: one word per sentence


@pytest.mark.parametrize("one_direction", [False, True])
def test_the_risk_tells_chinese_samples_apart(data, one_direction, caplog):
    caplog.set_level(logging.INFO)
    if one_direction:
        cfg = tiny.translation_config(data, source="de", target=CHINESE)
        cfg.task.eval_bleu_remove_bpe = "sentencepiece"
        criterion = tasks.setup_task(cfg.task).build_criterion(
            OmegaConf.create({"_name": "minimum_risk", "sentence_avg": False})
        )
    else:
        criterion = pair(data, "minimum_risk").criterion
        assert f"risk of {DIRECTIONS[1]}: 1 - BLEU with sacrebleu's tokenizer 13a" in caplog.text
    assert f"risk of {DIRECTIONS[0]}: 1 - BLEU with sacrebleu's tokenizer zh" in caplog.text
    words = PAIRS[0][1]
    candidates = [words, words[:4] + words[5:], words[::-1], PAIRS[1][1]]
    encoded = [tiny.encode(candidate, DICTIONARIES[CHINESE]) for candidate in candidates]
    risks = criterion.terms[-1]._risks(Direction("de", CHINESE), encoded, encoded[0])
    assert risks[0] == pytest.approx(0) and risks[0] < risks[1] < risks[2] < risks[3] < 1

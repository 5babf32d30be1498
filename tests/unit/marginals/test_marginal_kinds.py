"""Which kind of marginal reads what a flag names."""

import shutil

import pytest
import torch

from fairseq_dsl.errors import BadInput


def test_one_model_for_both_languages_is_refused(corpus):
    own = corpus.folder / "de" / "lm.pt"
    copy = shutil.copy(own, corpus.folder / "copy.pt")
    state = torch.load(copy)
    torch.save({**state, "extra_state": {"later": True}}, corpus.folder / "later.pt")  # as checkpoint_last.pt
    for path in (own, copy, corpus.folder / "later.pt"):
        message = f"--source-lm .*de/lm.pt and --target-lm {path}: are the same"
        with pytest.raises(BadInput, match=message):
            corpus.marginals(paths={"de": corpus.paths["de"], "en": str(path)})
            assert path.name == "later.pt"  # the others are told before anything is loaded
            corpus.scores(paths={"de": corpus.paths["de"], "en": str(path)})


@pytest.mark.parametrize("language, flag", [("de", "--source-lm"), ("en", "--target-lm")])
def test_a_missing_file_is_refused_at_once_by_its_flag(corpus, language, flag):
    with pytest.raises(BadInput, match=f"{flag} .*nowhere.pt: no such file"):
        corpus.marginals(paths={**corpus.paths, language: "nowhere.pt"})

"""What CTranslate2 makes of a model of any shape: the probabilities of fairseq's."""

import ctranslate2
import exported
import pytest
import tiny
import torch

SHAPES = {
    "post-norm": "",
    "pre-norm": "--encoder-normalize-before --decoder-normalize-before",
    "no final norm": "--encoder-normalize-before --decoder-normalize-before --no-decoder-final-norm",
    "learned positions": "--encoder-learned-pos --decoder-learned-pos",
    "learned positions of one side": "--decoder-learned-pos",
    "tied output": "--share-decoder-input-output-embed",
    "shared": "--share-all-embeddings",
    "norm of embeddings": "--layernorm-embedding",
    "embeddings not scaled": "--no-scale-embedding",
    "gelu": "--activation-fn gelu",
    "gelu_accurate": "--activation-fn gelu_accurate",
    "tanh": "--activation-fn tanh",
    "layers": "--encoder-layers 3 --decoder-layers 2 --encoder-normalize-before --decoder-normalize-before",
    "heads": "--encoder-attention-heads 1 --decoder-attention-heads 4",
    "widths": "--encoder-embed-dim 12 --encoder-ffn-embed-dim 20",
    "output of another width": "--decoder-output-dim 10",
    "layers left out in training": "--encoder-layers 2 --encoder-layerdrop 0.5 --decoder-layerdrop 0.5",
}


def log_probs(restored, source, target):
    """log P of each symbol of a sentence with its end, by fairseq."""
    tokens, expected = (tiny.encode(*side)[None] for side in ((source, restored.source), (target, restored.target)))
    previous = expected.roll(1)  # the end symbol comes first
    output = restored.model(tokens, torch.tensor([tokens.size(1)]), previous)
    return restored.model.get_normalized_probs(output, log_probs=True)[0].gather(1, expected.T)[:, 0]


@pytest.mark.parametrize("shape", SHAPES)
def test_gives_the_probabilities_of_fairseq(shape, data, joined, tmp_path):
    from fairseq_dsl_cli.exporting.specification import specification

    restored = exported.restored(joined if shape == "shared" else data, *SHAPES[shape].split())
    spec = specification(restored)
    spec.validate()
    spec.optimize()
    spec.save(str(tmp_path))
    sources, targets = map(list, zip(*tiny.PAIRS))
    found = ctranslate2.Translator(str(tmp_path)).score_batch(sources, targets)
    with torch.no_grad():
        for source, target, scores in zip(sources, targets, found):
            assert scores.tokens == [*target, "</s>"]
            torch.testing.assert_close(
                torch.tensor(scores.log_probs), log_probs(restored, source, target), atol=1e-4, rtol=1e-4
            )

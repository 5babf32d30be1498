"""The formulas of critics and of what they judge, as pure functions.

A critic says of a sentence the logit log D - log(1 - D), where D is the probability that it is real and not sampled.
Goodfellow et al. 2014, "Generative Adversarial Nets" (https://arxiv.org/abs/1406.2661): with as many samples as real
sentences, the one of the least loss has D = P_data/(P_data + P_model), and so the logit log P_data - log P_model.
"""

from typing import List, Tuple

from torch import Tensor
from torch.nn.functional import softplus


def critic_loss(real: Tensor, sampled: Tensor) -> Tensor:
    """-Σ log D(real) - Σ (1/K) Σ_k log(1 - D(sample_k)), in nats: one sentence's samples weigh as much as a real one.

    Args:
        real: ``(sentences,)``, the logits of real sentences.
        sampled: ``(sentences, K)``, those of the samples of as many sentences of the other language.

    >>> round(critic_loss(Tensor([0.0]), Tensor([[0.0, 0.0]])).item(), 4)  # 2 log 2: it cannot tell
    1.3863
    """
    return softplus(-real).sum() + softplus(sampled).mean(-1).sum()


def log_odds_reward(logits: Tensor, clip: float) -> Tensor:
    """log D - log(1 - D) of each sample, in nats, from -clip to clip.

    Its expectation over samples is, of the best critic and without the clip, -KL(P_model || P_data).

    >>> log_odds_reward(Tensor([-9.0, 0.5]), clip=5)
    tensor([-5.0000,  0.5000])
    """
    return logits.clamp(-clip, clip)


def bigrams(sentences: List[Tensor]) -> Tuple[int, int]:
    """How many distinct bigrams some sentences have, and how many in all; the end of a sentence is a symbol too.

    >>> bigrams([Tensor([5, 6, 5, 6, 2]), Tensor([6, 2])])
    (3, 5)
    """
    found = [pair for words in (sentence.tolist() for sentence in sentences) for pair in zip(words, words[1:])]
    return len({*found}), len(found)

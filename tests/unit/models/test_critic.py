"""A critic: what it says of a sentence, and what it learns."""

import pytest
import torch
from torch.nn.functional import pad

from fairseq_dsl.adversarial import critic_loss
from fairseq_dsl.models.critic import Critic

PAD, EOS = 1, 2


def critic(symbols=9, dim=8, dropout=0.0):
    return Critic(symbols, PAD, dim, dropout).double()


@pytest.mark.parametrize("side", [(0, 4), (4, 0)], ids=["right", "left"])
def test_says_the_same_of_a_sentence_whatever_stands_beside_it(side):
    """Neither padding nor the other sentences of a batch count."""
    made = critic()
    short, long = torch.tensor([[4, 5, EOS]]), torch.tensor([[7, 5, 8, 8, 6, 4, EOS]])
    together = made(torch.cat([pad(short, side, value=PAD), long]))
    torch.testing.assert_close(together, torch.cat([made(short), made(long)]), rtol=1e-12, atol=0)
    assert made(torch.tensor([[PAD, EOS]])).item() == pytest.approx(made(torch.tensor([[EOS]])).item(), rel=1e-12)


def test_sees_the_order_of_words():
    made = critic()
    assert abs(made(torch.tensor([[4, 5, 6, EOS]])) - made(torch.tensor([[6, 5, 4, EOS]]))) > 1e-3


def test_the_gradient_reaches_every_parameter_but_the_padding_s():
    made = critic()
    made(torch.tensor([[4, 5, 6, EOS], [7, 8, EOS, PAD]])).sum().backward()
    assert all(p.grad.abs().max() > 0 for p in made.parameters())
    assert made.embed.weight.grad[PAD].abs().max() == 0


def test_dropout_is_of_training_alone():
    made, sentence = critic(dropout=0.5), torch.tensor([[4, 5, 6, EOS]])
    assert made(sentence) != made(sentence)
    made.eval()
    assert made(sentence) == made(sentence)


def test_learns_the_ratio_of_the_probabilities():
    """Of four sentences, two of which have the same words: log P_data - log P_model, as the best critic's logit is."""
    sentences = torch.tensor([[4, 5, EOS], [5, 4, EOS], [6, EOS, PAD], [4, 6, EOS]])
    data, model = torch.tensor([10, 6, 3, 1]), torch.tensor([2, 4, 6, 8])  # of 20
    made = critic()
    optimizer = torch.optim.Adam(made.parameters(), lr=0.01)
    for _ in range(300):
        logits = made(sentences)
        loss = critic_loss(logits.repeat_interleave(data), logits.repeat_interleave(model).unsqueeze(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    wanted = (data.double() / model).log()
    torch.testing.assert_close(made(sentences).detach(), wanted, rtol=0, atol=0.02)

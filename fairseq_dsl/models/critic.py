"""A critic: how real a sentence of one language looks, beside those that a translation model samples."""

import torch
from torch import Tensor, nn

WIDTH = 3  # of a convolution, in symbols
LAYERS = 2


class Critic(nn.Module):
    """Embeddings, two convolutions, the maximum and the mean over the sentence, and a logit.

    After Kim 2014, "Convolutional Neural Networks for Sentence Classification" (https://arxiv.org/abs/1408.5882).

    Args:
        symbols: the size of the dictionary.
        pad: the padding symbol, which changes no sentence's logit.
        dim: the width of all layers.
        dropout: of the embeddings, and of what the logit is made of.
    """

    def __init__(self, symbols: int, pad: int, dim: int, dropout: float):
        super().__init__()
        self.pad = pad
        self.embed = nn.Embedding(symbols, dim)
        self.convolutions = nn.ModuleList(nn.Conv1d(dim, dim, WIDTH, padding=WIDTH // 2) for _ in range(LAYERS))
        self.dropout = nn.Dropout(dropout)
        self.logit = nn.Linear(2 * dim, 1)
        nn.init.normal_(self.embed.weight, std=dim**-0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """log D - log(1 - D) of each sentence, with D the probability that it is real; ``(sentences,)``.

        Args:
            tokens: ``(sentences, length)``, with their end-of-sentence symbols, padded on either side.
        """
        word = tokens.ne(self.pad).unsqueeze(1)
        hidden = self.dropout(self.embed(tokens)).transpose(1, 2) * word  # padding is 0: as if nothing stood there
        for convolution in self.convolutions:
            hidden = convolution(hidden).relu() * word
        mean = hidden.sum(-1) / word.sum(-1).clamp(min=1)
        return self.logit(self.dropout(torch.cat([hidden.amax(-1), mean], -1))).squeeze(-1)

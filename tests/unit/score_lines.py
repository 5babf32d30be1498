"""Files of fairseq-generate --dump-scores, written without a model."""

import json
import random

REFERENCES = [" ".join(random.Random(n).choices("abcdefgh", k=4 + n % 7)) for n in range(40)]


def hypothesis(text, forward, reverse=None, lm=None):
    return {"text": text, "length": len(text.split()) + 1, "forward": forward, "reverse": reverse, "lm": lm}


def line(number, hypotheses, direction="de-en", source_length=4):
    target = direction.rpartition("-")[2]
    languages = {"direction": direction, "target_lang": target}
    return {**languages, "id": number, "source_length": source_length, "hypotheses": hypotheses}


def save(path, lines):
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return str(path)


def drawn(lm=True, seed=3):
    """A line for each reference, of 1 to 5 hypotheses with scores drawn at random; one is too long to be re-ranked."""
    draw = random.Random(seed)
    lines = []
    for number, reference in enumerate(REFERENCES):
        hypotheses = []
        for _ in range(1 + number % 5):
            text = " ".join(draw.choice("xyz") if draw.random() < 0.3 else word for word in reference.split())
            good = sum(word in "xyz" for word in text.split())
            forward, reverse, language = (-draw.uniform(1, 20), -draw.uniform(1, 6) - 4 * good, -draw.uniform(5, 40))
            hypotheses.append(hypothesis(text, forward, reverse, language if lm else None))
        if number == 7:
            hypotheses = [{**one, "reverse": None, "lm": None} for one in hypotheses]
        hypotheses.sort(key=lambda one: -one["forward"] / one["length"])
        lines.append(line(number, hypotheses, source_length=3 + number % 6))
    return lines

"""Generate a small German-English corpus and binarize it: a real translation problem that needs no download."""

import random
import sys
from pathlib import Path
from typing import Dict, List, Sequence, Set

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from fairseq_dsl_cli.preparing.options import Parser, add_arguments, number, run_main
from fairseq_dsl_cli.preparing.recipe import prepare
from fairseq_dsl_cli.preparing.text import Pair

SIZES = {"test": 200, "valid": 200, "train": 4000}

# German on the left, English on the right; the earlier in a list, the more frequent. As in real text, a word can have
# two translations and a sentence two orders: neither side determines the other, so BLEU stays below 100.
SUBJECTS = [("der Lehrer", "the teacher"), ("meine Tante", "my aunt"), ("Anna", "Anna"), ("das Kind", "the child"),
            ("unser Nachbar", "our neighbour"), ("der Bäcker", "the baker"), ("ihre Schwester", "her sister"),
            ("Peter", "Peter"), ("die Ärztin", "the doctor"), ("mein Großvater", "my grandfather"),
            ("mein Opa", "my grandfather")]  # fmt: skip
# present, participle, infinitive; present, past, infinitive
VERBS = [(("kauft", "gekauft", "kaufen"), ("buys", "bought", "buy")),
         (("findet", "gefunden", "finden"), ("finds", "found", "find")),
         (("verkauft", "verkauft", "verkaufen"), ("sells", "sold", "sell")),
         (("zählt", "gezählt", "zählen"), ("counts", "counted", "count")),
         (("malt", "gemalt", "malen"), ("paints", "painted", "paint")),
         (("trägt", "getragen", "tragen"), ("carries", "carried", "carry")),
         (("verliert", "verloren", "verlieren"), ("loses", "lost", "lose")),
         (("findet", "gefunden", "finden"), ("discovers", "discovered", "discover")),
         (("entdeckt", "entdeckt", "entdecken"), ("discovers", "discovered", "discover")),
         (("repariert", "repariert", "reparieren"), ("repairs", "repaired", "repair"))]  # fmt: skip
ADJECTIVES = [("rote", "red"), ("alte", "old"), ("kleine", "small"), ("neue", "new"), ("schwere", "heavy"),
              ("große", "big"), ("große", "large"), ("billige", "cheap"), ("hübsche", "pretty"),
              ("schöne", "pretty")]  # fmt: skip
NOUNS = [("Bücher", "books"), ("Stühle", "chairs"), ("Lampen", "lamps"), ("Fahrräder", "bicycles"),
         ("Schlüssel", "keys"), ("Uhren", "clocks"), ("Schuhe", "shoes"), ("Bilder", "pictures"),
         ("Bilder", "paintings"), ("Gemälde", "paintings"), ("Körbe", "baskets"), ("Kisten", "boxes"),
         ("Taschen", "bags"), ("Teller", "plates")]  # fmt: skip
PLACES = [("auf dem Markt", "at the market"), ("im Laden", "in the shop"), ("im Laden", "in the store"),
          ("im Garten", "in the garden"), ("am Bahnhof", "at the station"), ("in der Schule", "at school"),
          ("im Geschäft", "in the shop"), ("zu Hause", "at home")]  # fmt: skip
PAST = [("gestern", "yesterday"), ("letzte Woche", "last week"), ("heute Morgen", "this morning")]
PRESENT = [("jeden Tag", "every day"), ("jeden Morgen", "every morning"), ("am Sonntag", "on Sunday")]
FUTURE = [("morgen", "tomorrow"), ("nächste Woche", "next week"), ("bald", "soon")]
OPENINGS = [("ich glaube, dass", "I think that"), ("wir wissen, dass", "we know that"),
            ("sie sagt, dass", "she says that")]  # fmt: skip

_ONES_DE = ["null", "ein", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf",
            "dreizehn", "vierzehn", "fünfzehn", "sechzehn", "siebzehn", "achtzehn", "neunzehn"]  # fmt: skip
_TENS_DE = ["", "", "zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig"]
_ONES_EN = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
            "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]  # fmt: skip
_TENS_EN = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def german_number(n: int) -> str:
    """2 to 999 as one word, units before tens: 342 is dreihundertzweiundvierzig."""
    hundreds, rest = divmod(n, 100)
    if rest < 20:
        word = {0: "", 1: "eins"}.get(rest, _ONES_DE[rest])
    else:
        tens, ones = divmod(rest, 10)
        word = (f"{_ONES_DE[ones]}und" if ones else "") + _TENS_DE[tens]
    return (f"{_ONES_DE[hundreds]}hundert" if hundreds else "") + word


def english_number(n: int) -> str:
    """2 to 999: 342 is three hundred and forty-two."""
    hundreds, rest = divmod(n, 100)
    if rest < 20:
        words = _ONES_EN[rest] if rest else ""
    else:
        tens, ones = divmod(rest, 10)
        words = _TENS_EN[tens] + (f"-{_ONES_EN[ones]}" if ones else "")
    return " and ".join(filter(None, [f"{_ONES_EN[hundreds]} hundred" if hundreds else "", words]))


def sentence_pair(rng: random.Random) -> Pair:
    """A sentence in German, whose last verb is at the end, and in English, whose verbs follow the subject."""

    def choose(options: Sequence):
        return rng.choices(options, weights=[1 / rank for rank in range(2, len(options) + 2)])[0]

    subject_de, subject_en = choose(SUBJECTS)
    verb_de, verb_en = choose(VERBS)
    adjective_de, adjective_en = choose(ADJECTIVES) if rng.random() < 0.6 else ("", "")
    noun_de, noun_en = choose(NOUNS)
    place_de, place_en = choose(PLACES) if rng.random() < 0.6 else ("", "")
    number = rng.randint(2, 12) if rng.random() < 0.5 else rng.randint(13, 999)
    object_de = f"{german_number(number)} {adjective_de} {noun_de}"
    object_en = f"{english_number(number)} {adjective_en} {noun_en}"

    tense = rng.choice(["past", "past clause", "present", "future", "duty"])
    time_de, time_en = choose({"present": PRESENT, "future": FUTURE, "duty": FUTURE}.get(tense, PAST))
    # German: the finite verb is second, or last in a clause; participle and infinitive are at the end.
    finite_de, last_de, verbs_en = {
        "present": (verb_de[0], "", verb_en[0]),
        "future": ("wird", verb_de[2], f"will {verb_en[2]}"),
        "duty": ("muss", verb_de[2], f"has to {verb_en[2]}"),
    }.get(tense, ("hat", verb_de[1], verb_en[1]))
    rest_de = f"{place_de} {object_de} {last_de}"
    statement_en = f"{subject_en} {verbs_en} {object_en} {place_en}"
    if tense == "past clause":
        opening_de, opening_en = choose(OPENINGS)
        german = f"{opening_de} {subject_de} {time_de} {rest_de} {finite_de}"
        english = f"{opening_en} {statement_en} {time_en}"
    else:
        first, third = rng.choice([(subject_de, time_de), (time_de, subject_de)])
        german = f"{first} {finite_de} {third} {rest_de}"
        english = rng.choice([f"{statement_en} {time_en}", f"{time_en} {statement_en}"])

    def finish(sentence: str) -> str:
        sentence = " ".join(sentence.split())
        return sentence[0].upper() + sentence[1:] + "."

    return finish(german), finish(english)


def generate(seed: int) -> Dict[str, List[Pair]]:
    """Train, valid and test of distinct sentences: none occurs twice, on either side."""
    rng = random.Random(seed)
    seen: Set[str] = set()

    def new_pair() -> Pair:
        while True:
            pair = sentence_pair(rng)
            if seen.isdisjoint(pair):
                seen.update(pair)
                return pair

    return {split: [new_pair() for _ in range(size)] for split, size in SIZES.items()}


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--lang", choices=("de",), default="de", help="the source language; the target is English")
    parser.add_argument(
        "--seed", type=number(int, 0), default=1, help="another seed gives other sentences (default: %(default)s)"
    )
    add_arguments(parser, vocab_size=600)
    parser.set_defaults(out=Path("data-bin/toy-de-en"))
    args = parser.parse_args()
    prepare(args, (args.lang, "en"), [], lambda: generate(args.seed))


if __name__ == "__main__":
    run_main(main)

"""A small sentence encoder with weights from a seed, and small texts: what an offline judge can be trained from in a second.

Its embeddings know nothing of meaning, so that tests with it are about everything but how good scores are.
"""

from __future__ import annotations

import string

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from raygen.evaluation.judge.offline.training.corpus import Corpus, Exchange, Passage
from raygen.evaluation.text.embeddings import Encoder

WIDTH, INNER, LAYERS = 24, 48, 4
COMMON = "the of in to and a is was it for on that with as by from are were".split()  # noqa: SIM905
THINGS = (
    *(
        "bridge",
        "tower",
        "river",
        "castle",
        "harbour",
        "library",
        "garden",
        "market",
        "museum",
        "station",
        "theatre",
        "school",
    ),
    *(
        "church",
        "palace",
        "tunnel",
        "canal",
        "forest",
        "island",
        "valley",
        "village",
        "airport",
        "hospital",
        "factory",
        "prison",
    ),
)
PLACES = ("Lisbon", "Vienna", "Oslo", "Cairo", "Lima", "Dublin", "Athens", "Kyoto")
PEOPLE = ("Strauss", "Brunel", "Eiffel", "Gaudi", "Wren", "Sinan")


def tiny_encoder() -> Encoder:
    """An encoder with random weights."""
    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        *COMMON,
        *string.ascii_lowercase,
        *string.digits,
        *string.punctuation,
    ]
    pieces += [f"##{character}" for character in string.ascii_lowercase + string.digits]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return Encoder(_tensors(len(vocabulary)), tokenizer.to_str())


def _tensors(vocabulary: int) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        values: torch.Tensor = torch.randn(*shape, generator=random) / shape[-1] ** 0.5
        return values

    tensors = {
        "embeddings.word_embeddings.weight": drawn(vocabulary, WIDTH) * 5,
        "embeddings.position_embeddings.weight": drawn(512, WIDTH),
        "embeddings.token_type_embeddings.weight": drawn(2, WIDTH),
    }
    norms = ["embeddings.LayerNorm"]
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}."
        shapes = {f"attention.self.{name}": (WIDTH, WIDTH) for name in ("query", "key", "value")}
        shapes |= {
            "attention.output.dense": (WIDTH, WIDTH),
            "intermediate.dense": (INNER, WIDTH),
            "output.dense": (WIDTH, INNER),
        }
        for name, shape in shapes.items():
            tensors[f"{layer}{name}.weight"], tensors[f"{layer}{name}.bias"] = (
                drawn(*shape),
                torch.zeros(shape[0]),
            )
        norms += [f"{layer}attention.output.LayerNorm", f"{layer}output.LayerNorm"]
    for name in norms:
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = torch.ones(WIDTH), torch.zeros(WIDTH)
    return tensors


def tiny_corpus() -> Corpus:
    """Two passages of each of 24 articles, and 24 exchanges."""
    passages, exchanges = [], []
    for number, thing in enumerate(THINGS):
        place, builder, year = PLACES[number % 8], PEOPLE[number % 6], 1801 + 7 * number
        passages += [
            Passage(
                f"{thing.title()} of {place}",
                "",
                (
                    f"The {thing} of {place} is one of the oldest in the country.",
                    f"It was built by {builder} in {year}, after {3 + number} years of work.",
                    f"Many people visit the {thing} in the summer.",
                    "It has been closed on Mondays because of repairs.",
                ),
            ),
            Passage(
                f"{thing.title()} of {place}",
                "History",
                (
                    f"Before {year} there was no {thing} at this place.",
                    f"The council of {place}, which had little money, asked {builder} for a plan.",
                    "The work was often interrupted by heavy rain.",
                ),
            ),
        ]
        exchanges.append(
            Exchange(f"Who built the {thing} of {place}?", f"The {thing} was built by {builder}.")
        )
    return Corpus(passages, exchanges, {"tiny": "0" * 64})

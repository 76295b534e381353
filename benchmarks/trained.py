"""Train a small language model with torch, and save its states: what `benchmarks.packed --states` packs.

    python -m benchmarks.trained --to FOLDER [--steps 400] [--texts FOLDER]

A transformer of 13 million parameters predicts the next byte of some source code. Saved are, as safetensors: after
the last step but 50, after the last but one, and after the last, the weights (`weights-*.safetensors`, FP32), the same
rounded (`bf16-*.safetensors`), and AdamW's second moments (`moments-*.safetensors`).
"""

import argparse
import json
import struct
import sysconfig
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

WIDTH, LAYERS, HEADS, CONTEXT, BATCH = 512, 4, 8, 64, 8


class Model(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(256, WIDTH)
        self.positions = nn.Parameter(torch.zeros(CONTEXT, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, 0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, 256)

    def forward(self, text: torch.Tensor) -> Any:
        mask = nn.Transformer.generate_square_subsequent_mask(CONTEXT)
        return self.head(self.layers(self.embedding(text) + self.positions, mask=mask, is_causal=True))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--texts", type=Path, default=Path(sysconfig.get_path("stdlib")))
    options = parser.parse_args()
    torch.manual_seed(7)
    text = torch.frombuffer(
        bytearray(b"".join(p.read_bytes() for p in sorted(options.texts.glob("*.py")))), dtype=torch.uint8
    )
    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    options.to.mkdir(parents=True, exist_ok=True)
    names = {options.steps - 50: "before", options.steps - 1: "last-but-one", options.steps: "last"}
    for step in range(1, options.steps + 1):
        at = torch.randint(len(text) - CONTEXT - 1, (BATCH,))
        batch = torch.stack([text[a : a + CONTEXT + 1] for a in at]).long()
        loss = functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in names:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)
            save(options.to, names[step], model, optimizer)


def save(folder: Path, name: str, model: Model, optimizer: torch.optim.Optimizer) -> None:
    weights = {key: value.detach() for key, value in model.state_dict().items()}
    moments = {str(n): optimizer.state[p]["exp_avg_sq"] for n, p in enumerate(model.parameters())}
    write(folder / f"weights-{name}.safetensors", weights)
    write(folder / f"moments-{name}.safetensors", moments)
    write(folder / f"bf16-{name}.safetensors", {key: value.bfloat16() for key, value in weights.items()})


def write(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """A safetensors file of FP32 or BF16."""
    header, parts, at = {}, list[bytes](), 0
    for key, value in tensors.items():
        kind = {torch.float32: ("F32", torch.int32), torch.bfloat16: ("BF16", torch.int16)}[value.dtype]
        data = value.contiguous().view(kind[1]).numpy().tobytes()
        header[key] = {"dtype": kind[0], "shape": list(value.shape), "data_offsets": [at, at + len(data)]}
        parts.append(data)
        at += len(data)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


if __name__ == "__main__":
    main()
